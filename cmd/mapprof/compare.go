// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/internal/wholefile"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/results"
)

// compareFlags are the flags of mapprof compare.
type compareFlags struct {
	by, format, pprof string
	alpha, threshold  float64
	force             bool
}

func newCompareCmd() *cobra.Command {
	var flags compareFlags
	cmd := &cobra.Command{
		Use:   "compare A [B...]",
		Short: "Say what changed between runs, or between the scenarios of one",
		Long: `Compare run directories, the first against each of the others, or the scenarios
within them by their strategy, kernel or workload.

  mapprof compare before/ after/
  mapprof compare run/ --by kernel
  mapprof compare before/ after/ --pprof diff.pb.gz && go tool pprof -top diff.pb.gz

For every metric: the median over trials with its confidence interval, the
change, and how sure it is: Mann–Whitney over trials on a wall clock, the
spread between trials on --clock icount, Holm's correction over the table in
both. What can't be compared (another clock, accelerator or workload) is
refused; --force compares it all the same and marks it.

Exit code 0, whatever changed; see mapprof gate for one that tells.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("compare needs run directories: mapprof compare BEFORE AFTER")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runCompare(cmd, &flags, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.by, "by", "", "compare by run, strategy, kernel or workload (default: run; of a single run, what varies in it)")
	flagvalue.SetKnown(fs, "by", "run", "strategy", "kernel", "workload")
	cli.AddFormat(fs, &flags.format, term.Formats()...)
	fs.StringVar(&flags.pprof, "pprof", "", "write the difference of the two profiles, of the scenarios that both runs have, to this file, for go tool pprof")
	fs.Float64Var(&flags.alpha, "alpha", compare.DefaultAlpha, "chance of even one false change in the table")
	fs.Float64Var(&flags.threshold, "threshold", 0, fmt.Sprintf("smallest change that counts, in percent (default %g; %g with --clock icount)",
		100*compare.DefaultWallThreshold, 100*compare.DefaultExactThreshold))
	fs.BoolVar(&flags.force, "force", false, "compare what is not comparable, and mark it")
	return cmd
}

func (f *compareFlags) check(n int) error {
	if err := checkFormat(f.format, term.Formats()...); err != nil {
		return err
	}
	known := []string{"", compare.ByRun, compare.ByStrategy, compare.ByKernel, compare.ByWorkload}
	switch {
	case !slices.Contains(known, f.by):
		return &usageError{flagvalue.OneOf("by", f.by, "run", "strategy", "kernel", "workload")}
	case !(f.alpha > 0 && f.alpha < 1):
		return &usageError{errors.New("--alpha must be between 0 and 1")}
	case !(f.threshold >= 0 && f.threshold <= 1000):
		return &usageError{errors.New("--threshold must be from 0 to 1000 percent")}
	case f.by == compare.ByRun && n < 2:
		return &usageError{errors.New("--by run needs two run directories")}
	case f.pprof != "" && n != 2:
		return &usageError{errors.New("--pprof needs exactly two run directories")}
	}
	return nil
}

func runCompare(cmd *cobra.Command, flags *compareFlags, args []string) error {
	if err := flags.check(len(args)); err != nil {
		return err
	}
	dirs, inputs, err := compare.Open(args)
	if err != nil {
		return err
	}
	by := flags.by
	if by == "" {
		by = compare.ByRun
		if len(inputs) == 1 {
			by = compare.DefaultGrouping(inputs[0].Run)
		}
	}
	c, err := compare.Runs(inputs, compare.Options{By: by, Alpha: flags.alpha, Threshold: flags.threshold / 100, Force: flags.force})
	if err != nil {
		return err
	}
	if flags.pprof != "" {
		if err := writeProfileDiff(flags.pprof, dirs, inputs); err != nil {
			return err
		}
	}
	return printComparison(cmd.OutOrStdout(), c, flags.format)
}

func printComparison(w io.Writer, c *compare.Comparison, format string) error {
	return term.PrintComparison(w, c, format, term.OptionsFor(w, ""))
}

// writeProfileDiff writes candidate − base of two runs.
func writeProfileDiff(path string, dirs []*results.Dir, inputs []compare.Input) error {
	diff, err := profile.DiffDirs(dirs, inputs)
	if err != nil {
		return err
	}
	var gz bytes.Buffer
	if err := profile.Write(&gz, diff); err != nil {
		return err
	}
	return wholefile.Write(path, gz.String())
}
