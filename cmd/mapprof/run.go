// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/runflags"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/report/progress"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

const runHelp = `Run a workload on one or more kernels, watch what becomes of its maps, and
print how long each stage of their freeing took.

  mapprof run --workload churn --strategy rcu,tasks-trace --kernel 6.12
  mapprof run --workload churn --kernel 6.12 --kernel ./bzImage --trials 8

Several strategies, kernels and trials take turns (A B A B). Ctrl-C ends the
run early and keeps what there is, marked as partial; a second one ends it at
once.`

func newRunCmd() *cobra.Command {
	var flags runflags.Run
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a workload on one or more kernels and profile it",
		Long:  runHelp,
		Args:  cli.NoArgs("--help lists its flags"),
	}
	cmd.Flags().SortFlags = false
	flags.Add(cmd.Flags(), defaultKernel)
	flags.Complete(cmd)
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		err := cli.Usage(cmd)
		fmt.Fprint(cmd.OutOrStderr(), flags.Usage(cmd.Flags().Changed("workload"), cli.HelpWidth(cmd.OutOrStderr())))
		return err
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := makeRun(cmd, args, &flags.Flags, &flags)
		return err
	}
	return cmd
}

// planner is the flags of a command that leaves a run directory.
type planner interface {
	Check(args []string) error
	Plan(where target.Target, output io.Writer) (engine.Plan, error)
}

// makeRun does what the flags ask for, and prints what it gave, which it returns, too,
// if there is any.
func makeRun(cmd *cobra.Command, args []string, flags *runflags.Flags, p planner) (*results.Run, error) {
	if err := p.Check(args); err != nil {
		return nil, &usageError{err}
	}
	ctx, stop, cancel := cli.WithInterrupt(cmd.Context())
	defer cancel()
	// A place that can't be written is found before anything is fetched or boots.
	out, err := results.Create(flags.Out)
	if err != nil {
		return nil, err
	}
	defer out.Abort()
	where, err := targetUnlessStopped(ctx, flags, stop, cmd)
	if err != nil {
		return nil, err
	}
	progress := shownProgress{progress.New(cmd.ErrOrStderr())}
	defer progress.Finish()
	plan, err := p.Plan(where, progress)
	if err != nil {
		return nil, &usageError{err}
	}
	err = engine.Fit(where, trial.Job{Workload: plan.Workload, Params: plan.Params, Options: plan.Options}, plan.Strategies)
	if targetflags.IsMistake(err) {
		return nil, &usageError{err}
	} else if err != nil {
		return nil, err
	}
	plan.Command, plan.Out, plan.Stop, plan.Progress = append([]string{"mapprof"}, os.Args[1:]...), out, stop, progress
	run, failure := engine.Run(ctx, plan)
	progress.Finish()
	if run != nil {
		return run, errors.Join(failure, printRun(cmd, flags, run))
	}
	return nil, failure
}

// targetUnlessStopped finds the target, and gives up when stop is closed.
func targetUnlessStopped(ctx context.Context, flags *runflags.Flags, stop <-chan struct{}, cmd *cobra.Command) (target.Target, error) {
	ctx, cancel := task.UntilStopped(ctx, stop)
	defer cancel()
	where, err := findTarget(ctx, &flags.Flags, cmd.ErrOrStderr())
	if err != nil && ctx.Err() != nil {
		return nil, errors.New("interrupted before anything ran")
	}
	return where, err
}

func printRun(cmd *cobra.Command, flags *runflags.Flags, run *results.Run) error {
	w := cmd.OutOrStdout()
	if flags.Format == "json" {
		return model.WriteRun(w, run)
	}
	o := term.OptionsFor(w, flags.Out)
	o.Brief = !flags.Verbose
	if err := term.WriteTable(w, run, o); err != nil || len(run.Targets) < 2 {
		return err
	}
	c, err := compare.Runs([]compare.Input{{Name: flags.Out, Run: run}}, compare.Options{By: compare.ByKernel, Alpha: compare.DefaultAlpha})
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printComparison(w, c, "table")
}
