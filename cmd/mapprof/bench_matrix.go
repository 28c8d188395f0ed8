// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/spf13/cobra"
)

func newBenchMatrixCmd() *cobra.Command {
	var out string
	var count int
	var offline bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "matrix KERNEL...",
		Short: "Run every strategy of churn on each kernel and print one table",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, kernels []string) error {
			ctx, stop := withSignals(cmd.Context())
			defer stop()
			var rows []bench.MatrixRow
			for _, kernel := range kernels {
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s\n", safetext.Text(kernel))
				rows = append(rows, bench.MatrixOf(ctx, kernel, count, offline, limit)...)
			}
			text, failed := bench.MatrixTable(rows)
			text += "\n" + measuredBy(cmd, kernels...)
			if err := (&benchFlags{out: out}).print(cmd, text); err != nil {
				return err
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d failed", failed, len(rows))
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&count, "count", 60, "deaths of each strategy")
	cmd.Flags().BoolVar(&offline, "offline", false, "never use the network: only cached kernels")
	cmd.Flags().DurationVar(&limit, "limit", 10*time.Minute, "limit on what one kernel may take, all strategies together")
	cmd.Flags().StringVar(&out, "out", "", "also write the table, as Markdown, to this file")
	return cmd
}
