// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/spf13/cobra"
)

// newOverheadCmd makes mapprof bench overhead: what a run costs beside its
// workload (boot, attach, drain, results, the end of QEMU), as a whole process.
func newOverheadCmd() *cobra.Command {
	var kernel, accel string
	var runs int
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "overhead",
		Short: "Measure what mapprof run costs beside its workload",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runs < 1 {
				return &usageError{errors.New("--runs must be at least 1")}
			}
			took := make([]time.Duration, 0, runs)
			for range runs {
				d, err := bench.RunOverhead(cmd.Context(), kernel, accel)
				if err != nil {
					return err
				}
				took = append(took, d)
			}
			slices.Sort(took)
			median := took[len(took)/2]
			fmt.Fprintf(cmd.OutOrStdout(), "mapprof run less its workload, %s, %s, %d runs: min %.1f s, median %.1f s, max %.1f s (limit %.0f s)\n",
				kernel, accel, runs, took[0].Seconds(), median.Seconds(), took[len(took)-1].Seconds(), limit.Seconds())
			if median > limit {
				return fmt.Errorf("the median is over the limit of %v", limit)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&kernel, "kernel", defaultKernel, "kernel to boot")
	cmd.Flags().StringVar(&accel, "accel", "tcg", "accelerator")
	cmd.Flags().IntVar(&runs, "runs", 5, "how often")
	cmd.Flags().DurationVar(&limit, "limit", 10*time.Second, "fail if the median is over this")
	return cmd
}
