// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/engine/seeds"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/engine/top"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/live/screen"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/guest"
	_ "github.com/mapprof/mapprof/target/kernels/debian" // where kernels come from
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/target/wire"
	_ "github.com/mapprof/mapprof/workloads/all" // for --workload
)

// recordingCmds are the commands that need Linux: they trace a kernel, or boot
// one.
func recordingCmds() []*cobra.Command {
	return []*cobra.Command{newRunCmd(), newRecordCmd(), newTopCmd(), newDoctorCmd(), newSeedsCmd(), newKernelsCmd(), newBenchCmd(), newGuestCmd()}
}

func completeKernels(root *cobra.Command) { targetflags.CompleteKernels(root) }

func newTopCmd() *cobra.Command {
	return top.Command(screen.Run, func(err error) error { return &usageError{err} })
}

func newSeedsCmd() *cobra.Command {
	return seeds.Command(seeds.Program{Find: findTarget, Progress: newProgress, Mistake: func(err error) error { return &usageError{err} }})
}

func guestInit() { guest.Init() }

// handlers are the tasks that this program does on a target's kernel.
func handlers() task.Handlers { return trial.Handlers().With(bench.Handlers()) }

// guestLimits bound what a guest may send; tests make them smaller.
var guestLimits wire.Limits

// findTarget finds where to run.
func findTarget(ctx context.Context, flags *targetflags.Flags, stderr io.Writer) (target.Target, error) {
	where, err := flags.Find(ctx, engine.Where{
		DefaultKernel: defaultKernel, Handlers: handlers(), Limits: guestLimits,
		Say: func(line string) { fmt.Fprintln(stderr, safetext.Lines(line)) },
	})
	if targetflags.IsMistake(err) {
		err = &usageError{err}
	}
	return where, err
}

// newGuestCmd makes the command that a VM's init starts; people never do.
func newGuestCmd() *cobra.Command {
	return &cobra.Command{
		Use:    guest.Command + " [TASK]",
		Hidden: true,
		Args:   cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := cli.WithSignals(cmd.Context())
			defer stop()
			return guest.Serve(ctx, handlers(), args)
		},
	}
}
