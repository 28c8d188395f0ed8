// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

func newBenchHoldCmd() *cobra.Command {
	var f benchFlags
	config := bench.HoldConfig{Count: 20}
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Hold readers for known times and compare with what is measured",
		Args:  cobra.NoArgs,
	}
	fs := cmd.Flags()
	f.add(fs, 20*time.Minute, "6.12", "7.2")
	f.addAccel(fs)
	fs.IntVar(&config.Count, "count", config.Count, "deaths for each length")
	rcu := fs.DurationSlice("rcu", []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond}, "holds of the RCU reader")
	tasksTrace := fs.DurationSlice("tasks-trace", []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond}, "holds of the tasks-trace reader")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := withSignals(cmd.Context())
		defer stop()
		config.Lengths = map[string][]time.Duration{results.StrategyRCU: *rcu, results.StrategyTasksTrace: *tasksTrace}
		var text strings.Builder
		var wrong []error
		err := f.each(ctx, func(t target.Target, kernel string) error {
			rows, done, err := bench.Hold(ctx, t, 0, config, progressTo(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			warn(cmd.ErrOrStderr(), kernel, done)
			bench.WriteHolds(&text, done.Outcome, rows)
			if err := bench.CheckHolds(rows); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", kernel, err))
			}
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
