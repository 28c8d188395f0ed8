// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/export"
	"github.com/mapprof/mapprof/internal/wholefile"
	"github.com/mapprof/mapprof/results"
)

func newExportCmd() *cobra.Command {
	var format, out string
	var help strings.Builder
	for _, e := range export.All() {
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
			e, err := export.Find(format)
			if err != nil {
				return &usageError{fmt.Errorf("--format: %w", err)}
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
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to this file")
	return cmd
}
