// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

func newBenchWatchingCmd() *cobra.Command {
	var f benchFlags
	var only string
	var rounds int
	cmd := &cobra.Command{
		Use:   "watching",
		Short: "Measure churn with probes and without, in turns",
		Args:  cobra.NoArgs,
	}
	fs := cmd.Flags()
	f.add(fs, 20*time.Minute, defaultKernel)
	f.addAccel(fs)
	fs.StringVar(&f.machine.Clock, "clock", results.ClockWall, "wall, or icount: one CPU whose clock counts instructions, and no noise")
	fs.IntVar(&rounds, "rounds", 10, "rounds of each workload, each with probes and without")
	fs.StringVar(&only, "only", "", "leave out the workloads whose name doesn't contain this")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkClock(f.machine.Clock); err != nil {
			return err
		}
		if rounds < 1 || rounds > 1000 {
			return &usageError{errors.New("--rounds must be from 1 to 1000")}
		}
		ctx, stop := withSignals(cmd.Context())
		defer stop()
		churns := slices.DeleteFunc(bench.WatchedChurns(rounds), func(c bench.WatchedChurn) bool { return !strings.Contains(c.Name, only) })
		if len(churns) == 0 {
			return &usageError{fmt.Errorf("--only %q leaves no workload", only)}
		}
		var text strings.Builder
		var wrong []error
		err := f.each(ctx, func(t target.Target, kernel string) error {
			measured, done, err := bench.Watch(ctx, t, 0, churns, progressTo(cmd.ErrOrStderr()))
			if err == nil && len(measured) != len(churns) {
				err = errors.New("the guest sent another number of workloads")
			}
			if err != nil {
				return err
			}
			warn(cmd.ErrOrStderr(), kernel, done)
			wrong = append(wrong, bench.WriteWatching(&text, done.Outcome, churns, measured))
			return nil
		})
		if err != nil {
			return err
		}
		text.WriteString(measuredBy(cmd))
		return errors.Join(f.print(cmd, text.String()), errors.Join(wrong...))
	}
	return cmd
}
