// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/internal/wholefile"
	"github.com/mapprof/mapprof/results"
)

// Command returns mapprof export. mistake makes an error the user's.
func Command(mistake func(error) error) *cobra.Command {
	var format, out string
	var help strings.Builder
	var names []string
	for _, e := range All() {
		names = append(names, e.Name)
		fmt.Fprintf(&help, "  %-12s %s\n", e.Name, e.Summary)
	}
	cmd := &cobra.Command{
		Use:   "export DIR --format FORMAT",
		Short: "Write a run in another tool's format",
		Long: `Write a run in another tool's format, to standard output or to a file.

` + help.String() + `
  mapprof export before/ --format benchfmt -o before.txt
  mapprof export after/ --format benchfmt -o after.txt
  benchstat -ignore kernel,version,date before.txt after.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("export needs one run directory: mapprof export DIR --format FORMAT")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := Find(format)
			if err != nil {
				return mistake(fmt.Errorf("--format: %w", err))
			}
			d, err := results.Open(args[0])
			if err != nil {
				return err
			}
			if out == "" {
				return e.Write(d, cmd.OutOrStdout())
			}
			return wholefile.Stream(out, func(w io.Writer) error { return e.Write(d, w) })
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "the format, see above")
	flagvalue.SetKnown(cmd.Flags(), "format", names...)
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to this file")
	return cmd
}
