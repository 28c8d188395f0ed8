// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/task"
)

// newBenchCmd makes the command that measures mapprof itself, for its
// developers.
func newBenchCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Hidden: true, Short: "Measure mapprof itself", Args: cobra.NoArgs}
	cmd.AddCommand(newOverheadCmd(), newProbeCostCmd(), newBenchHoldCmd(), newBenchWatchingCmd(), newBenchMatrixCmd())
	return cmd
}

// benchFlags say where a benchmark runs, and where its table is kept.
type benchFlags struct {
	kernels []string
	machine target.Machine
	offline bool
	out     string
}

func (b *benchFlags) add(fs *pflag.FlagSet, timeout time.Duration, kernels ...string) {
	fs.StringArrayVar(&b.kernels, "kernel", kernels, "kernel to measure on; repeatable")
	fs.BoolVar(&b.offline, "offline", false, "never use the network: only cached kernels")
	fs.DurationVar(&b.machine.Timeout, "timeout", timeout, "limit on one VM's life")
	fs.StringVar(&b.out, "out", "", "also write the table, as Markdown, to this file")
}

func (b *benchFlags) addAccel(fs *pflag.FlagSet) {
	fs.StringVar(&b.machine.Accel, "accel", "", "accelerator: kvm or tcg (default: kvm where this kernel boots on it)")
}

// each does something on each of the kernels.
func (b *benchFlags) each(ctx context.Context, f func(t target.Target, kernel string) error) error {
	for _, name := range b.kernels {
		k, err := kernels.Resolve(ctx, name, kernels.Options{Offline: b.offline})
		if err == nil {
			err = f(&target.VM{Machine: b.machine, Images: []kernels.Kernel{k}}, name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// progressTo writes a line for each stage of a task.
func progressTo(w io.Writer) func(task.Progress) {
	return func(p task.Progress) { fmt.Fprintln(w, p.Stage) }
}

// warn writes what was wrong with the machine that a task was done on.
func warn(w io.Writer, kernel string, done target.Done) {
	for _, text := range done.Outcome.Warnings {
		fmt.Fprintf(w, "warning: %s: %s\n", kernel, text)
	}
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

// print prints a table and may keep it.
func (b *benchFlags) print(cmd *cobra.Command, text string) error {
	fmt.Fprint(cmd.OutOrStdout(), text)
	if b.out == "" {
		return nil
	}
	return writeWhole(b.out, text)
}
