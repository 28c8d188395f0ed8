// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/target/guest"
	_ "github.com/mapprof/mapprof/target/kernels/debian" // where kernels come from
	"github.com/mapprof/mapprof/target/task"
	_ "github.com/mapprof/mapprof/workloads/all" // for --workload
)

// recordingCmds are the commands that need Linux: they trace a kernel, or boot
// one.
func recordingCmds() []*cobra.Command {
	return []*cobra.Command{newRunCmd(), newDoctorCmd(), newKernelsCmd(), newBenchCmd(), newGuestCmd()}
}

func guestInit() { guest.Init() }

// handlers are the tasks that this program does on a target's kernel.
func handlers() task.Handlers { return trial.Handlers().With(bench.Handlers()) }

// newGuestCmd makes the command that a VM's init starts; people never do.
func newGuestCmd() *cobra.Command {
	return &cobra.Command{
		Use:    guest.Command + " TASK",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := withSignals(cmd.Context())
			defer stop()
			return guest.Serve(ctx, handlers(), args[0])
		},
	}
}
