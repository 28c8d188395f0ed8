// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/results"
)

func printRun(cmd *cobra.Command, flags *runFlags, run *results.Run) error {
	w := cmd.OutOrStdout()
	if flags.format == "json" {
		return model.WriteRun(w, run)
	}
	if err := term.WriteTable(w, run, tableOptions(w, flags.out)); err != nil || len(run.Targets) < 2 {
		return err
	}
	c, err := analyze.Compare([]analyze.Input{{Name: flags.out, Run: run}}, analyze.CompareOptions{By: analyze.ByKernel, Alpha: analyze.DefaultCompareAlpha})
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printComparison(w, c, "table")
}
