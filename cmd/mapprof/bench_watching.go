// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/target"
	"github.com/spf13/cobra"
)

func newBenchWatchingCmd() *cobra.Command {
	var vm bench.VM
	var out, only string
	var rounds int
	cmd := &cobra.Command{
		Use:   "watching",
		Short: "Measure churn with probes and without, in turns",
		Args:  cobra.NoArgs,
	}
	fs := cmd.Flags()
	addBenchFlags(&vm, fs, defaultKernel)
	fs.StringVar(&vm.Clock, "clock", target.ClockWall, "wall, or icount: one CPU whose clock counts instructions, and no noise")
	fs.IntVar(&rounds, "rounds", 10, "rounds of each workload, each with probes and without")
	fs.StringVar(&only, "only", "", "leave out the workloads whose name doesn't contain this")
	fs.StringVar(&out, "out", "", "also write the table, as Markdown, to this file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if target.InGuestJob() {
			return bench.InGuest(bench.MeasureWatching)
		}
		if vm.Clock != target.ClockWall && vm.Clock != target.ClockICount {
			return &usageError{fmt.Errorf("--clock %q is not one of wall, icount", vm.Clock)}
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
		var errs []error
		for _, kernel := range vm.Kernels {
			var measured []bench.WatchedResult
			o, err := vm.Run(ctx, progressTo(cmd), kernel, "watching", churns, &measured)
			if err == nil && len(measured) != len(churns) {
				err = errors.New("the guest sent another number of workloads")
			}
			if err != nil {
				return fmt.Errorf("%s: %w", kernel, err)
			}
			errs = append(errs, bench.WriteWatching(&text, o, churns, measured))
		}
		text.WriteString(measuredBy(cmd))
		return errors.Join(printBench(cmd, out, text.String()), errors.Join(errs...))
	}
	return cmd
}
