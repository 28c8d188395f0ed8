// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

func newProbeCostCmd() *cobra.Command {
	f := benchFlags{machine: target.Machine{Clock: results.ClockICount, MemoryBytes: 3 << 30}}
	var bpftrace string
	cmd := &cobra.Command{
		Use:   "probe-cost",
		Short: "Measure what probes on a lookup cost, in instructions",
		Args:  cobra.NoArgs,
	}
	f.add(cmd.Flags(), 15*time.Minute, defaultKernel)
	cmd.Flags().StringVar(&bpftrace, "bpftrace", "bpftrace", "bpftrace to compare with; empty: none")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := withSignals(cmd.Context())
		defer stop()
		var text strings.Builder
		text.WriteString("# What mapprof's own probes cost\n")
		err := f.each(ctx, func(t target.Target, kernel string) error {
			costs, done, err := bench.ProbeCosts(ctx, t, 0, bpftrace)
			if err != nil {
				return err
			}
			warn(cmd.ErrOrStderr(), kernel, done)
			text.WriteString("\n" + bench.ProbeCostTable(costs, done.Outcome, kernel))
			return nil
		})
		if err != nil {
			return err
		}
		return f.print(cmd, text.String())
	}
	return cmd
}
