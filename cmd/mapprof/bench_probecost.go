// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/target"
)

// newBenchCmd makes the command that measures mapprof itself, for its
// developers.
func newBenchCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Hidden: true, Short: "Measure mapprof itself", Args: cobra.NoArgs}
	cmd.AddCommand(newOverheadCmd(), newProbeCostCmd(), newBenchHoldCmd(), newBenchWatchingCmd(), newBenchMatrixCmd())
	return cmd
}

type probeCostFlags struct {
	kernel, bpftrace, out, guest string
	offline                      bool
	timeout                      time.Duration
}

func newProbeCostCmd() *cobra.Command {
	var f probeCostFlags
	cmd := &cobra.Command{
		Use:   "probe-cost",
		Short: "Measure what probes on a lookup cost, in instructions",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if target.InGuestJob() {
				return bench.MeasureProbeCosts(f.guest)
			}
			return probeCostHost(cmd, &f)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.kernel, "kernel", defaultKernel, "kernel to measure on")
	fs.StringVar(&f.bpftrace, "bpftrace", "bpftrace", "bpftrace to compare with; empty: none")
	fs.StringVar(&f.out, "out", "", "also write the table, as Markdown, to this file")
	fs.BoolVar(&f.offline, "offline", false, "never use the network: only cached kernels")
	fs.DurationVar(&f.timeout, "timeout", 15*time.Minute, "limit on the VM's life")
	fs.StringVar(&f.guest, "guest-bpftrace", "", "")
	_ = fs.MarkHidden("guest-bpftrace")
	return cmd
}

func probeCostHost(cmd *cobra.Command, f *probeCostFlags) error {
	ctx, stop := withSignals(cmd.Context())
	defer stop()
	k, err := target.ResolveKernel(ctx, f.kernel, target.KernelOptions{Offline: f.offline})
	if err != nil {
		return err
	}
	job := target.Job{Args: []string{"bench", "probe-cost"}, Files: map[string][]byte{}}
	if f.bpftrace != "" {
		path, err := bench.GatherProgram(ctx, f.bpftrace, job.Files)
		if err != nil {
			return err
		}
		job.Args = append(job.Args, "--guest-bpftrace", path)
	}
	var costs []bench.ProbeCost
	var decodeErr error
	job.Event = func(kind string, payload []byte) {
		if kind == bench.EventCosts {
			decodeErr = json.Unmarshal(payload, &costs)
			for i := range costs {
				costs[i].Attached = safetext.Name(costs[i].Attached)
			}
		}
	}
	// The initramfs with bpftrace and its libraries is 250 MB, and it needs
	// half a gigabyte to compile.
	vm := target.VM{Kernel: k, Clock: target.ClockICount, MemoryBytes: 3 << 30, Timeout: f.timeout}
	out, err := vm.Run(ctx, job)
	switch {
	case err != nil:
		return err
	case out.ExitCode != 0:
		return fmt.Errorf("the guest's mapprof failed: %s", strings.TrimPrefix(out.Message, "mapprof: "))
	case decodeErr != nil || len(costs) == 0:
		return fmt.Errorf("the guest sent no costs: %w", decodeErr)
	}
	text := bench.ProbeCostTable(costs, out, k)
	if _, err := io.WriteString(cmd.OutOrStdout(), text); err != nil {
		return err
	}
	if f.out == "" {
		return nil
	}
	return writeWhole(f.out, "# What mapprof's own probes cost\n\n"+text)
}
