// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/gate/selftest"
	"github.com/mapprof/mapprof/engine/gatetest"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/target/task"
)

// selfTestFlagNames mean nothing without --self-test.
var selfTestFlagNames = []string{"kernel", "arch", "workloads", "pairs", "minutes", "trials", "count", "synthetic", "simulate", "jobs", "no-vm", "offline", "keep", "timeout"}

// selfTestFlags are those of mapprof gate --self-test.
type selfTestFlags struct {
	gatetest.SelfTest
	kernel, arch      string
	minutes, simulate int
	noVM, offline     bool
	keep              string
	timeout           time.Duration
}

func (f *selfTestFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.kernel, "kernel", defaultKernel, "--self-test: kernel to boot")
	targetflags.AddArch(fs, &f.arch)
	fs.Lookup("arch").Usage = "--self-test: " + fs.Lookup("arch").Usage
	fs.StringSliceVar(&f.Workloads, "workloads", gatetest.Workloads(), "--self-test: what to run: "+strings.Join(gatetest.Workloads(), ","))
	flagvalue.SetKnown(fs, "workloads", gatetest.Workloads()...)
	fs.IntVar(&f.Pairs, "pairs", 1, "--self-test: pairs of real runs of each kind; each costs 7 times --trials boots of churn, three times of tasks-trace and of lookup")
	fs.IntVar(&f.minutes, "minutes", 0, "--self-test: use this time for more pairs of real runs")
	fs.IntVar(&f.Trials, "trials", 3, "--self-test: trials on each side of a pair")
	fs.IntVar(&f.Count, "count", 300, "--self-test: operations in a trial of churn")
	fs.IntVar(&f.Synthetic, "synthetic", 200, "--self-test: pairs of each kind that are made up or drawn from real trials")
	fs.IntVar(&f.simulate, "simulate", 0, "--self-test: only simulate so many pairs for each cell of a table of changes and scatters")
	fs.IntVar(&f.Jobs, "jobs", min(4, runtime.NumCPU()), "--self-test: VMs at a time; the deterministic clock doesn't mind")
	fs.BoolVar(&f.noVM, "no-vm", false, "--self-test: only made-up pairs; then it proves the arithmetic and not this machine")
	fs.BoolVar(&f.offline, "offline", false, "--self-test: never use the network: only cached kernels")
	fs.StringVar(&f.keep, "keep", "", "--self-test: keep the runs in this new directory")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Minute, "--self-test: limit on one boot of the VM")
}

func (f *selfTestFlags) check(given func(name string) bool) error {
	f.Time = time.Duration(f.minutes) * time.Minute
	err := f.Check()
	switch {
	case err != nil: // that it is
	case f.timeout <= 0:
		err = errors.New("--timeout must be more than 0")
	case given("simulate") && (f.simulate < 1 || f.simulate > 1e6):
		err = errors.New("--simulate must be from 1 to 1000000")
	case given("simulate"):
		err = cli.Alone("simulate", selfTestFlagNames, given)
	case f.noVM:
		err = cli.Alone("no-vm", selfTestFlagNames, given, "trials", "synthetic", "keep")
	}
	if err != nil {
		return &usageError{err}
	}
	return nil
}

func runSelfTest(cmd *cobra.Command, flags *selfTestFlags, policy gate.Policy, format string) error {
	ctx, stop, cancel := cli.WithInterrupt(cmd.Context())
	defer cancel()
	if flags.simulate > 0 {
		return simulateGate(ctx, cmd.OutOrStdout(), flags.simulate, format, stop)
	}
	dir := flags.keep
	if dir == "" {
		tmp, err := os.MkdirTemp("", "mapprof-self-test-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	} else if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("keep the runs: %w", err)
	}
	stderr := cmd.ErrOrStderr()
	s := &flags.SelfTest
	s.Policy, s.Dir = policy, dir
	s.OnPair = func(done int, workload string) {
		fmt.Fprintf(stderr, "self-test: %d groups of pairs done, of %d at least (%s)\n", done, s.Pairs*len(s.Workloads), workload)
	}
	s.OnWrongVerdict = func(kind string, v *gate.Verdict) {
		fmt.Fprintf(stderr, "%s:\n", kind)
		_ = term.PrintVerdict(stderr, v, "table", term.OptionsFor(stderr, "")) // it only explains the exit code
	}
	if !flags.noVM {
		s.Run = func(ctx context.Context, r gatetest.Run) error { return bootSelfTest(ctx, flags, stop, r) }
	}
	// An interrupt ends what boots.
	runCtx, cancelRun := task.UntilStopped(ctx, stop)
	defer cancelRun()
	rates, failure := s.Do(runCtx)
	if err := printSelfTest(cmd, rates, failure, flags, format); err != nil {
		return err
	}
	if failure != nil {
		return &exitError{code: exitInconclusive, err: failure}
	}
	for i := range rates {
		if rates[i].Hits() != rates[i].Pairs {
			return &exitError{code: exitFailure, err: errors.New("self-test: the gate did not say what it should have")}
		}
	}
	return nil
}

func simulateGate(ctx context.Context, w io.Writer, pairs int, format string, stop <-chan struct{}) error {
	ctx, cancel := task.UntilStopped(ctx, stop)
	defer cancel()
	cells, err := selftest.Simulate(ctx, pairs, 1)
	if err != nil {
		return err
	}
	return term.PrintSimulation(w, cells, format, term.OptionsFor(w, ""))
}

func printSelfTest(cmd *cobra.Command, rates []selftest.Rate, failure error, flags *selfTestFlags, format string) error {
	w := cmd.OutOrStdout()
	if format == "json" {
		return term.WriteSelfTestJSON(w, rates, failure)
	}
	return term.WriteSelfTest(w, rates, failure, flags.noVM, term.OptionsFor(w, ""))
}
