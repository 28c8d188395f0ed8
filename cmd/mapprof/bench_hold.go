// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/workloads"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newBenchHoldCmd() *cobra.Command {
	var vm bench.VM
	var out string
	config := bench.HoldConfig{Count: 20}
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Hold readers for known times and compare with what is measured",
		Args:  cobra.NoArgs,
	}
	fs := cmd.Flags()
	addBenchFlags(&vm, fs, "6.12", "7.2")
	fs.IntVar(&config.Count, "count", config.Count, "deaths for each length")
	rcu := fs.DurationSlice("rcu", []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond}, "holds of the RCU reader")
	tasksTrace := fs.DurationSlice("tasks-trace", []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond}, "holds of the tasks-trace reader")
	fs.StringVar(&out, "out", "", "also write the table, as Markdown, to this file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if target.InGuestJob() {
			return bench.InGuest(bench.MeasureHolds)
		}
		ctx, stop := withSignals(cmd.Context())
		defer stop()
		config.Lengths = map[string][]time.Duration{workloads.StrategyRCU: *rcu, workloads.StrategyTasksTrace: *tasksTrace}
		var text strings.Builder
		var errs []error
		for _, kernel := range vm.Kernels {
			var rows []bench.HoldRow
			o, err := vm.Run(ctx, progressTo(cmd), kernel, "hold", config, &rows)
			if err != nil {
				return fmt.Errorf("%s: %w", kernel, err)
			}
			bench.WriteHolds(&text, o, rows)
			if err := bench.CheckHolds(rows); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", kernel, err))
			}
		}
		text.WriteString(measuredBy(cmd))
		return errors.Join(printBench(cmd, out, text.String()), errors.Join(errs...))
	}
	return cmd
}

// measuredBy is the command that measures again, with the flags that were
// given.
func measuredBy(cmd *cobra.Command, args ...string) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if slice, ok := f.Value.(pflag.SliceValue); ok {
			values = slice.GetSlice()
			if f.Value.Type() != "stringArray" {
				values = []string{strings.Join(values, ",")}
			}
		}
		for _, v := range values {
			if f.Name != "out" {
				words = append(words, "--"+f.Name+"="+v)
			}
		}
	})
	return fmt.Sprintf("Measured by:\n\n```console\n$ %s\n```\n", strings.Join(append(words, args...), " "))
}

// printBench prints a table and may keep it.
func printBench(cmd *cobra.Command, path, text string) error {
	fmt.Fprint(cmd.OutOrStdout(), text)
	if path == "" {
		return nil
	}
	return writeWhole(path, text)
}
