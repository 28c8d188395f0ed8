// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/report"
	"github.com/mapprof/mapprof/results"
	"github.com/spf13/cobra"
)

func printRun(cmd *cobra.Command, flags *runFlags, run *results.Run) error {
	w := cmd.OutOrStdout()
	if flags.format == "json" {
		return report.WriteJSON(w, run)
	}
	if err := report.WriteTable(w, run, tableOptions(w, flags.out)); err != nil || len(run.Targets) < 2 {
		return err
	}
	c, err := analyze.Compare([]analyze.Input{{Name: flags.out, Run: run}}, analyze.CompareOptions{By: analyze.ByKernel, Alpha: analyze.DefaultCompareAlpha})
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printComparison(w, c, "table")
}
