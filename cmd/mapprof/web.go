// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/report/web"
)

func newWebCmd() *cobra.Command {
	var addr string
	var noBrowser bool
	cmd := &cobra.Command{
		Use:   "web [DIR...]",
		Short: "Look at runs in a browser, with pprof's views built in",
		Long: `Serve the runs under some directories (default mapprof-runs) as web pages:
choose, filter and compare runs, see their history or one figure's trend, and open
pprof's own views of each and of the difference of two. A run that is made meanwhile appears by
itself. Ctrl-C ends it.

  mapprof web
  mapprof web DIR... --http 127.0.0.1:8080 --no-browser

The directories are only read. A label, a note and a star of a run are kept apart
from them, in mapprof/notes.json of $XDG_STATE_HOME, by the SHA-256 of its
run.json. It listens on loopback unless told otherwise; there is
no password, and elsewhere nobody can change a note.`,
		ValidArgsFunction: completeDirs,
		RunE: func(cmd *cobra.Command, dirs []string) error {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return &usageError{fmt.Errorf("--http %q is not HOST:PORT", addr)}
			}
			if len(dirs) == 0 {
				dirs = []string{"mapprof-runs"}
			}
			ctx, stop := cli.WithSignals(cmd.Context())
			defer stop()
			server, err := web.New(dirs)
			if err != nil {
				return err
			}
			server.KeepNotes(web.NotesFile())
			// ":8080" would be all of the machine's addresses.
			if host == "" {
				addr = "127.0.0.1" + addr
			}
			ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
			if err != nil {
				return fmt.Errorf("serve web view on %s: %w (choose another with --http)", addr, err)
			}
			at := "http://" + ln.Addr().String() + "/"
			fmt.Fprintf(cmd.OutOrStdout(), "serving %s at %s (Ctrl-C ends it)\n", server.Summary(), at)
			if ip := net.ParseIP(host); host != "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
				fmt.Fprintf(cmd.ErrOrStderr(), "mapprof: %s may be reached from other machines, and there is no password\n", addr)
			}
			if !noBrowser && term.IsTerminal(cmd.OutOrStdout()) {
				web.OpenBrowser(ctx, at)
			}
			return server.Serve(ctx, ln, host)
		},
	}
	cmd.Flags().StringVar(&addr, "http", "127.0.0.1:0", "address to listen on; port 0 is any that is free")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "don't open the browser, only print the address")
	return cmd
}
