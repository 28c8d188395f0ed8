// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func addBenchFlags(b *bench.VM, fs *pflag.FlagSet, kernels ...string) {
	fs.StringArrayVar(&b.Kernels, "kernel", kernels, "kernel to measure on; repeatable")
	fs.StringVar(&b.Accel, "accel", "", "accelerator: kvm or tcg (default: kvm where this kernel boots on it)")
	fs.BoolVar(&b.Offline, "offline", false, "never use the network: only cached kernels")
	fs.DurationVar(&b.Timeout, "timeout", 20*time.Minute, "limit on one VM's life")
}

func progressTo(cmd *cobra.Command) bench.ProgressSink {
	return func(line string) {
		fmt.Fprintln(cmd.ErrOrStderr(), strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '?'
			}
			return r
		}, line[:min(len(line), 200)]))
	}
}
