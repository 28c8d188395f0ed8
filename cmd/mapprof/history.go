// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/wholefile"
	"github.com/mapprof/mapprof/report/html"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/term"
)

func newHistoryCmd() *cobra.Command {
	var o history.Options
	var format, out string
	var selfTest int
	cmd := &cobra.Command{
		Use:   "history DIR...",
		Short: "Find the runs where figures changed, over many of them",
		Long: `Follow every figure over many runs of the same scenarios, and find the runs
where its level changed, by E-divisive means, with what else was new there:
kernel, mapprof, QEMU, host.

  mapprof history nightly/*
  mapprof history nightly/* -o history.html
  mapprof history A B C --label 6.12.1,6.12.2,6.12.3

The order is that of the runs' start, or with --label that of the arguments. It
takes ` + fmt.Sprintf("%d runs to find a change, and %d that have it", history.MinRuns, history.MinLevel) + `. Exit code 0, whatever
changed: mapprof gate is for a verdict on the newest run.`,
		ValidArgsFunction: completeDirs,
		Args: func(_ *cobra.Command, args []string) error {
			o.Threshold /= 100
			switch {
			case selfTest == 0:
				return o.Check(len(args))
			case selfTest < 0 || len(args) > 0:
				return errors.New("--self-test takes a number of series, and no runs")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if selfTest > 0 {
				_, err := fmt.Fprint(w, model.HistoryRates(history.RunSelfTest(selfTest)))
				return err
			}
			if err := checkFormat(format, term.HistoryFormats()...); err != nil {
				return err
			}
			h, err := history.OfDirs(args, o)
			if err != nil {
				return err
			}
			if out == "" {
				return term.PrintHistory(w, h, format, term.OptionsFor(w, ""))
			}
			var page bytes.Buffer
			if err := html.WriteHistory(&page, h); err != nil {
				return err
			}
			return wholefile.Write(out, page.String())
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&o.Labels, "label", nil, "what to call the runs, in the order of the arguments, which is the history's then")
	cli.AddFormat(fs, &format, "table", "json")
	fs.StringVarP(&out, "out", "o", "", "write one HTML file instead")
	fs.IntVar(&selfTest, "self-test", 0, "without runs: how often changes are found in that many made-up series")
	fs.Float64Var(&o.Threshold, "threshold", 0, "smallest change that counts, in percent (default 5; 0.5 with --clock icount)")
	return cmd
}
