// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/pprof/driver"
	pprof "github.com/google/pprof/profile"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/report/web"
)

func newPprofCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "pprof DIR... [pprof flags]",
		Short: "Look at a run's profile with pprof",
		Long: `Look at a run's profile with pprof, which is built in: neither Go nor binutils
need be installed. Several runs are added up; -diff_base=DIR compares with
another one. Without a format it asks for commands.

  mapprof pprof DIR -top                         limbo time by phase and caller
  mapprof pprof DIR -http=:                      flame graph and more in a browser
  mapprof pprof DIR -top -sample_index=deaths    ` + sampleTypesText() + `
  mapprof pprof DIR -top -tagfocus=strategy=rcu  only that strategy's deaths
  mapprof pprof DIR -tags                        what there is to choose from
  mapprof pprof NEW -diff_base=OLD -top          what got longer

Every sample ends in a frame [phase] NAME. A death and its limbo_bytes are
counted at the phase that lasted longest.`,
		DisableFlagParsing: true, // they are pprof's
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: runPprof,
	}
}

// sampleTypesText lists what -sample_index may be beside deaths, in lines below
// each other.
func sampleTypesText() string {
	const width, indent = 40, 49
	lines := []string{"also:"}
	types := profile.SampleTypes()
	for i, name := range types {
		if name == profile.SampleDeaths {
			continue
		}
		if i < len(types)-1 {
			name += ","
		}
		last := &lines[len(lines)-1]
		if len(*last)+1+len(name) > width {
			lines = append(lines, name)
			continue
		}
		*last += " " + name
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent))
}

// runPprof hands the arguments to pprof. Its reports go to the process's
// standard output, whatever the command's is.
func runPprof(cmd *cobra.Command, args []string) error {
	ui := &pprofUI{in: bufio.NewReader(cmd.InOrStdin()), out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}
	flags := newPprofFlags(args, ui, cmd.Long)
	// The web view asks for the user's settings file even if there is no
	// home to have it in.
	if _, err := os.UserConfigDir(); err != nil {
		if err := os.Setenv("XDG_CONFIG_HOME", os.DevNull); err != nil {
			return err
		}
	}
	err := driver.PProf(&driver.Options{
		Flagset:    flags,
		Fetch:      flags,
		Obj:        web.NoObjects{},
		Sym:        web.NoSymbols{},
		UI:         ui,
		HTTPServer: servePprof,
	})
	switch {
	case flags.helped:
		return nil
	case flags.err != nil:
		return flags.err
	case err != nil:
		return fmt.Errorf("pprof: %w", err)
	}
	return nil
}

// pprofFlags is pprof's flag set over package flag's, with flags allowed after
// the run directories too. It also loads the profiles: by then a run that
// isn't one can still be told in one line.
type pprofFlags struct {
	*flag.FlagSet
	args     []string
	ui       *pprofUI
	help     string
	extra    []string
	bases    []*string
	profiles map[string]*pprof.Profile
	helped   bool
	err      error
}

func newPprofFlags(args []string, ui *pprofUI, help string) *pprofFlags {
	fs := flag.NewFlagSet("pprof", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return &pprofFlags{FlagSet: fs, args: args, ui: ui, help: help, profiles: map[string]*pprof.Profile{}}
}

// StringList is a flag that may be repeated.
func (f *pprofFlags) StringList(name, def, usage string) *[]*string {
	list := &[]*string{}
	if def != "" {
		*list = append(*list, &def)
	}
	base := name == "base" || name == "diff_base"
	f.Func(name, usage, func(s string) error {
		*list = append(*list, &s)
		if base {
			f.bases = append(f.bases, &s)
		}
		return nil
	})
	return list
}

// ExtraUsage implements driver.FlagSet.
func (f *pprofFlags) ExtraUsage() string { return strings.Join(f.extra, "\n") }

// AddExtraUsage implements driver.FlagSet.
func (f *pprofFlags) AddExtraUsage(s string) { f.extra = append(f.extra, s) }

// Parse returns the run directories. It returns none, which makes pprof stop,
// after a request for help and after an error.
func (f *pprofFlags) Parse(usage func()) []string {
	var sources []string
	for rest := f.args; ; {
		err := f.FlagSet.Parse(rest)
		if errors.Is(err, flag.ErrHelp) {
			f.helped = true
			f.ui.err = f.ui.out // help that was asked for is output
			f.ui.Print(f.help + "\n")
			usage()
			return nil
		}
		if err != nil {
			f.err = &usageError{fmt.Errorf("pprof: %w (see mapprof pprof --help)", err)}
			return nil
		}
		if rest = f.Args(); len(rest) == 0 {
			break
		}
		sources, rest = append(sources, rest[0]), rest[1:]
	}
	if len(sources) == 0 {
		f.err = &usageError{errors.New("pprof: no run directory given (mapprof pprof DIR -top)")}
		return nil
	}
	wanted := sources
	for _, b := range f.bases {
		wanted = append(wanted[:len(wanted):len(wanted)], *b)
	}
	for _, src := range wanted {
		if f.profiles[src] != nil {
			continue
		}
		p, err := profile.Open(src)
		if err != nil {
			f.err = err
			return nil
		}
		f.profiles[src] = p
	}
	return sources
}

// Fetch implements driver.Fetcher. It returns no URL: pprof would save a copy
// in the user's home of what comes from one.
func (f *pprofFlags) Fetch(src string, _, _ time.Duration) (*pprof.Profile, string, error) {
	p := f.profiles[src]
	if p == nil {
		return nil, "", fmt.Errorf("open run %s: not loaded", src)
	}
	return p.Copy(), "", nil
}

// pprofUI is pprof's side of a terminal.
type pprofUI struct {
	in       *bufio.Reader
	out, err io.Writer
}

// ReadLine implements driver.UI.
func (u *pprofUI) ReadLine(prompt string) (string, error) {
	fmt.Fprint(u.out, prompt)
	return u.in.ReadString('\n')
}

// Print implements driver.UI.
func (u *pprofUI) Print(args ...any) {
	fmt.Fprintln(u.err, strings.TrimSuffix(fmt.Sprint(args...), "\n"))
}

// PrintErr implements driver.UI.
func (u *pprofUI) PrintErr(args ...any) { u.Print(args...) }

// IsTerminal implements driver.UI. It says whether reports are shown as they
// come, which no UI without an editor of its own does.
func (u *pprofUI) IsTerminal() bool { return false }

// WantBrowser implements driver.UI.
func (u *pprofUI) WantBrowser() bool { return term.IsTerminal(int(os.Stdout.Fd())) }

// SetAutoComplete implements driver.UI.
func (u *pprofUI) SetAutoComplete(func(string) string) {}

// servePprof serves pprof's web view: read-only, and where it listens on
// loopback only for requests that name a loopback host, so that a web page
// can't reach it by a name of its own that leads here.
func servePprof(args *driver.HTTPServerArgs) error {
	ln, err := net.Listen("tcp", args.Hostport)
	if err != nil {
		return fmt.Errorf("serve web view: %w (choose another port with -http)", err)
	}
	server := &http.Server{Handler: pprofHandler(args), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(ln)
}

func pprofHandler(args *driver.HTTPServerArgs) http.Handler {
	local, handlers := isLoopback(args.Host), web.HarmlessViews(args.Handlers)
	views := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := handlers[r.URL.Path]
		if h == nil {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
	mux := http.NewServeMux()
	// Under a prefix, as in pprof's own server: its links are relative.
	mux.Handle("/ui/", http.StripPrefix("/ui", views))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/ui/?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if local && !isLoopback(strings.Trim(host, "[]")) {
			http.Error(w, "this host name isn't served", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
