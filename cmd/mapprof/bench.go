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
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/internal/cli"
)

// newBenchCmd makes the command that measures mapprof itself, for its
// developers.
func newBenchCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Hidden: true, Short: "Measure mapprof itself", Args: cli.NoArgs("--help lists the benchmarks")}
	for _, d := range bench.All() {
		cmd.AddCommand(newBenchmarkCmd(d))
	}
	return cmd
}

func newBenchmarkCmd(d bench.Description) *cobra.Command {
	b, on := d.New(), bench.Machines{Kernels: d.Kernels, Machine: d.Machine}
	var out string
	cmd := &cobra.Command{Use: d.Name, Short: d.Short, Args: cli.NoArgs("--help lists its flags")}
	fs := cmd.Flags()
	if len(d.Kernels) > 0 {
		fs.StringArrayVar(&on.Kernels, "kernel", d.Kernels, "kernel to measure on; repeatable")
		fs.DurationVar(&on.Machine.Timeout, "timeout", 20*time.Minute, "limit on one VM's life")
	} else {
		cmd.Use, cmd.Args = d.Name+" KERNEL...", cli.SomeArgs("a kernel", "6.12")
	}
	targetflags.AddArch(fs, &on.Arch)
	fs.BoolVar(&on.Offline, "offline", false, "never use the network: only cached kernels")
	fs.StringVar(&out, "out", "", "also write the table, as Markdown, to this file: in place of the section of its heading")
	if d.Accel {
		fs.StringVar(&on.Machine.Accel, "accel", d.Machine.Accel, "accelerator: kvm or tcg (default: kvm where this kernel boots on it)")
	}
	if d.Clock {
		fs.StringVar(&on.Machine.Clock, "clock", d.Machine.Clock, "the VM's clock: "+targetflags.ClocksText())
	}
	b.AddFlags(fs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(d.Kernels) == 0 {
			on.Kernels = args
		}
		if err := errors.Join(on.Machine.Check(), b.Check()); err != nil {
			return &usageError{err}
		}
		ctx, stop := cli.WithSignals(cmd.Context())
		defer stop()
		on.Stderr = cmd.ErrOrStderr()
		table, wrong := b.Run(ctx, on)
		if table == "" {
			return wrong
		}
		table = strings.TrimRight(table, "\n") + "\n\n" + bench.MeasuredBy(cmd.CommandPath(), cmd.Flags(), args...)
		fmt.Fprint(cmd.OutOrStdout(), table)
		if out == "" {
			return wrong
		}
		return errors.Join(bench.WriteSection(out, table), wrong)
	}
	return cmd
}
