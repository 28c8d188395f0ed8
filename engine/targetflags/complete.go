// SPDX-License-Identifier: Apache-2.0

//go:build linux

package targetflags

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/target/kernels"
)

// CompleteKernels has a shell offer the series that are in the cache, and files, where a
// command or one below it has --kernel.
func CompleteKernels(cmd *cobra.Command) {
	if cmd.Flags().Lookup("kernel") != nil {
		_ = cmd.RegisterFlagCompletionFunc("kernel", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return cached(cmd.Context()), cobra.ShellCompDirectiveDefault
		}) // it has none yet
	}
	for _, c := range cmd.Commands() {
		CompleteKernels(c)
	}
}

// cached are the series in the cache, none where it can't be read.
func cached(ctx context.Context) []string {
	list, err := kernels.List(ctx, kernels.Options{Offline: true, Progress: func(string) {}})
	if err != nil {
		return nil
	}
	var series []string
	for _, k := range list.Kernels {
		if k.Cached && k.Newest {
			series = append(series, k.Series+"\t"+k.Release)
		}
	}
	return series
}
