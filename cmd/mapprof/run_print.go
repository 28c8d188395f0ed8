// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/compare"
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
	c, err := compare.Runs([]compare.Input{{Name: flags.out, Run: run}}, compare.Options{By: compare.ByKernel, Alpha: compare.DefaultAlpha})
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printComparison(w, c, "table")
}
