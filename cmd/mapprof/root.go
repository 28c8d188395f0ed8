// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/export"
	"github.com/mapprof/mapprof/engine/manual"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/internal/version"
	"github.com/mapprof/mapprof/results"
)

// The exit codes, which scripts may rely on.
const (
	exitOK           = 0
	exitFailure      = 1
	exitUsage        = 2
	exitRegression   = 3
	exitInconclusive = 4
)

// defaultKernel is what a VM boots when --kernel says nothing: the series that
// Debian's stable backports and most distributions carry now.
const defaultKernel = "6.12"

// usageError is the user's mistake: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitError ends the program with a code of its own; its text, if any, is
// printed like another error's.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// run is the whole program: arguments in, exit code out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCmd()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	ctx, signalled := cli.SignalsSeen(ctx)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit) && exit.err == nil:
		return exit.code
	case signalled() != 0:
		cli.PrintError(stderr, err)
		return signalled()
	case exit != nil:
		cli.PrintError(stderr, exit.err)
		return exit.code
	case errors.As(err, &usage), !started:
		// What cobra itself refuses (flags, arguments, names of commands)
		// ends before any command starts.
		cli.PrintError(stderr, err)
		return exitUsage
	}
	cli.PrintError(stderr, err)
	return exitFailure
}

// tellAbandoned says where a run that was killed left something, beside the runs
// that a command reads or in them.
func tellAbandoned(cmd *cobra.Command, args []string) {
	for _, name := range []string{"baseline", "candidate", "confirm"} {
		if f := cmd.Flags().Lookup(name); f != nil {
			args = append(args, f.Value.String())
		}
	}
	if len(args) == 0 {
		args = []string{"mapprof-runs"}
	}
	var parents []string
	for _, dir := range args {
		parents = append(parents, filepath.Dir(dir), filepath.Clean(dir))
	}
	slices.Sort(parents)
	for _, parent := range slices.Compact(parents) {
		for _, left := range results.Abandoned(parent) {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: a run that was killed left %s (the next run there removes it)\n", safetext.Text(left))
		}
	}
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "mapprof",
		Short: "Profile the life and death of BPF maps",
		Long: `mapprof shows how long a BPF map stays in memory after its last reference is
dropped, which stage is to blame (RCU or tasks-trace grace period, callback,
workqueue, the free itself), and what it costs, on a real kernel: this
machine's, or any kernel image booted under QEMU.

  mapprof run --workload churn --strategy rcu,tasks-trace --kernel 6.12
  mapprof doctor --kernel ./arch/x86/boot/bzImage

Exit codes: 0 fine, 1 failure, 2 usage, 3 regression found, 4 inconclusive,
130 interrupted (SIGINT), 143 terminated (SIGTERM).`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version.Get().String(),
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cli.FlagError(cmd, err)} })
	readers := []*cobra.Command{newPprofCmd(), newReportCmd(), newWebCmd(), newCompareCmd(), newHistoryCmd(), newGateCmd(), export.Command(func(err error) error { return &usageError{err} })}
	for _, cmd := range readers {
		cmd.PreRun = tellAbandoned
	}
	root.AddCommand(readers...)
	root.AddCommand(recordingCmds()...)
	root.AddCommand(manual.ManCommand())
	root.SetUsageFunc(cli.Usage)
	root.SetHelpCommand(manual.Command(func(err error) error { return &usageError{err} }))
	cli.CompleteKnown(root)
	completeKernels(root)
	return root
}
