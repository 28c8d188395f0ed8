// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

// runFlags are the flags of mapprof run.
type runFlags struct {
	targetflags.Flags
	decided    engine.DecidedFlags
	workload   string
	params     *workloads.Flags
	strategies []string
	trials     int
	seed       uint64
	out        string
	format     string
	options    trial.Options
	ring       flagvalue.Size
}

const runHelp = `Run a workload on one or more kernels, watch what becomes of its maps, and
print how long each stage of their freeing took.

  mapprof run --workload churn --strategy rcu,tasks-trace --kernel 6.12
  mapprof run --workload churn --kernel 6.12 --kernel ./bzImage --trials 8

Several strategies, kernels and trials take turns (A B A B). Ctrl-C ends the
run early and keeps what there is, marked as partial; a second one ends it at
once.`

func newRunCmd() *cobra.Command {
	flags := runFlags{options: trial.DefaultOptions()}
	flags.ring = flagvalue.Size(flags.options.RingBytes)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a workload on one or more kernels and profile it",
		Long:  runHelp,
		Args:  cli.NoArgs("--help lists its flags"),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	var names []string
	for _, d := range workloads.All() {
		names = append(names, d.Name)
	}
	fs.StringVar(&flags.workload, "workload", "churn", "what drives the kernel: "+strings.Join(names, "|")+"; its own flags are below")
	fs.StringSliceVar(&flags.strategies, "strategy", nil, "grace-period strategies, compared side by side: "+strings.Join(results.FreeingStrategies(), ","))
	fs.IntVar(&flags.trials, "trials", 1, "repetitions; on a VM each is a boot")
	fs.Uint64Var(&flags.seed, "seed", 1, "on the deterministic clock, when each trial begins between the kernel's ticks: equal seeds give equal runs")
	fs.StringVarP(&flags.out, "out", "o", "", "run directory to create (default mapprof-runs/TIME-WORKLOAD)")
	fs.StringVar(&flags.format, "format", "table", "what to print: table or json")
	fs.BoolVar(&flags.options.NoDeaths, "no-deaths", false, "don't keep every single death, only the statistics")
	fs.BoolVar(&flags.options.NoProbes, "no-probes", false, "attach no probes: only time operations, from user space, to see what watching costs")
	fs.BoolVar(&flags.options.Stacks, "stacks", false, "keep the callers' stacks of lookups (each costs more than the lookup)")
	flags.decided.Add(fs)
	flags.Add(fs, defaultKernel)
	fs.Var(&flags.ring, "ring-size", "ring buffer of the probes, a power of two")
	fs.Uint32Var(&flags.options.InFlight, "in-flight", flags.options.InFlight, "how many deaths may be pending at once")
	fs.DurationVar(&flags.options.DrainTimeout, "drain-timeout", flags.options.DrainTimeout, "how long to wait at the end for pending deaths")
	flags.params = workloads.NewFlags(fs, &flags.workload)
	usage := cmd.UsageFunc()
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		err := usage(cmd)
		fmt.Fprint(cmd.OutOrStderr(), flags.params.Usage(cmd.Flags().Changed("workload")))
		return err
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w, params, err := flags.params.Workload()
		if err != nil {
			return &usageError{flagvalue.PlainError(err)}
		}
		if err := flags.check(w); err != nil {
			return err
		}
		return runRun(cmd, &flags, params)
	}
	return cmd
}

func (f *runFlags) check(w workloads.Workload) error {
	if err := f.Check(); err != nil {
		return &usageError{err}
	}
	if f.strategies != nil && len(f.strategies) == 0 {
		return &usageError{fmt.Errorf("--strategy names none (known: %s)", strings.Join(w.Strategies(), ", "))}
	}
	if len(f.strategies) == 0 {
		f.strategies = w.Strategies()[:1]
	}
	for i, s := range f.strategies {
		if err := w.Check(s); err != nil {
			return &usageError{err}
		}
		if slices.Contains(f.strategies[:i], s) {
			return &usageError{fmt.Errorf("--strategy names %s twice", s)}
		}
	}
	switch {
	case f.trials < 1 || f.trials > 10000:
		return &usageError{errors.New("--trials must be from 1 to 10000")}
	case f.ring < 4096 || f.ring > 1<<30 || f.ring&(f.ring-1) != 0:
		return &usageError{fmt.Errorf("--ring-size %s is not a power of two from 4KiB to 1GiB", &f.ring)}
	case f.options.InFlight == 0 || f.options.InFlight > 1<<24:
		return &usageError{errors.New("--in-flight must be from 1 to 16777216")}
	case f.options.DrainTimeout < 0:
		return &usageError{errors.New("--drain-timeout must not be negative")}
	}
	if err := f.decided.Check(f.Machine.Clock, &f.trials); err != nil {
		return &usageError{err}
	}
	f.options.RingBytes = uint32(f.ring)
	if err := checkFormat(f.format, "table", "json"); err != nil {
		return err
	}
	var atLeast time.Duration
	if timed, ok := w.(workloads.Timed); ok {
		atLeast = timed.AtLeast()
	}
	var setup time.Duration
	if slow, ok := w.(workloads.SlowSetup); ok {
		setup = slow.SetupWithin()
	}
	if err := f.AllowFor(atLeast, setup); err != nil {
		return &usageError{err}
	}
	if f.out == "" {
		f.out = filepath.Join("mapprof-runs", time.Now().Format("20060102-150405")+"-"+f.workload)
	}
	return nil
}

func runRun(cmd *cobra.Command, flags *runFlags, params map[string]string) error {
	ctx, stop, cancel := cli.WithInterrupt(cmd.Context())
	defer cancel()
	stderr := cmd.ErrOrStderr()
	// A place that can't be written is found before anything is fetched or boots.
	out, err := results.Create(flags.out)
	if err != nil {
		return err
	}
	defer out.Abort()
	where, err := flags.targetUnlessStopped(ctx, stop, cmd)
	if err != nil {
		return err
	}
	err = engine.Fit(where, trial.Job{Workload: flags.workload, Params: params, Options: flags.options}, flags.strategies)
	if targetflags.IsMistake(err) {
		return &usageError{err}
	} else if err != nil {
		return err
	}
	progress := newProgress(stderr)
	plan := engine.Plan{
		Target: where, Workload: flags.workload, Params: params, Strategies: flags.strategies, Trials: flags.trials, Seed: flags.seed,
		Options: flags.options, Timeout: flags.Machine.Timeout, Command: append([]string{"mapprof"}, os.Args[1:]...),
		Out: out, Stop: stop, Progress: progress,
	}
	flags.decided.Plan(&plan)
	run, failure := engine.Run(ctx, plan)
	progress.Finish()
	if run != nil {
		return errors.Join(failure, printRun(cmd, flags, run))
	}
	return failure
}

// targetUnlessStopped finds the target, and gives up when stop is closed.
func (f *runFlags) targetUnlessStopped(ctx context.Context, stop <-chan struct{}, cmd *cobra.Command) (target.Target, error) {
	ctx, cancel := task.UntilStopped(ctx, stop)
	defer cancel()
	where, err := findTarget(ctx, &f.Flags, cmd.ErrOrStderr())
	if err != nil && ctx.Err() != nil {
		return nil, errors.New("interrupted before anything ran")
	}
	return where, err
}

func printRun(cmd *cobra.Command, flags *runFlags, run *results.Run) error {
	w := cmd.OutOrStdout()
	if flags.format == "json" {
		return model.WriteRun(w, run)
	}
	if err := term.WriteTable(w, run, term.OptionsFor(w, flags.out)); err != nil || len(run.Targets) < 2 {
		return err
	}
	c, err := compare.Runs([]compare.Input{{Name: flags.out, Run: run}}, compare.Options{By: compare.ByKernel, Alpha: compare.DefaultAlpha})
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printComparison(w, c, "table")
}
