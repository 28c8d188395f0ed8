// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

const help = `Run the scenario of each kernel commit that mapprof exists to show, on each kernel,
and print one table: the commit, what it changed, the figures on each kernel, and
whether all works or what fell short. A commit without a scenario is listed with the
reason. Where a kernel fails a proof the exit code is 1, with the table complete.

  mapprof seeds                                     all rows on 5.10, 6.1, 6.12 and 7.2,
                                                    and on what lies around a change
  mapprof seeds --commit 20c20bd11a13 --kernel 6.12
  mapprof seeds --list                              the rows, nothing run`

// usual are the kernels where nothing is said: one on either side of most of the commits.
var usual = []string{"5.10", "6.1", "6.12", "7.2"}

// Program is what the command has of the program around it.
type Program struct {
	// Find finds a target.
	Find func(ctx context.Context, flags *targetflags.Flags, stderr io.Writer) (target.Target, error)
	// Progress tells where a run is.
	Progress func(w io.Writer) engine.Progress
	// Mistake makes an error the user's.
	Mistake func(error) error
}

type command struct {
	Program
	flags   targetflags.Flags
	commits flagvalue.Names
	format  string
	list    bool
	stderr  io.Writer
}

// Command returns the command.
func Command(p Program) *cobra.Command {
	c := command{Program: p}
	cmd := &cobra.Command{
		Use:   "seeds",
		Short: "Show what each kernel commit behind mapprof changed, kernel by kernel",
		Long:  help,
		Args:  cli.NoArgs("name a commit with --commit, a kernel with --kernel"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.flags.Add(cmd.Flags(), strings.Join(usual, ", ")+", and those around a row's change")
	fs := cmd.Flags()
	fs.Var(&c.commits, "commit", "only the rows of these commits")
	fs.BoolVar(&c.list, "list", false, "list the rows with their scenarios, and run nothing")
	fs.StringVar(&c.format, "format", "table", "what to print: "+strings.Join(formats, ", "))
	flagvalue.SetKnown(fs, "format", formats...)
	return cmd
}

func (c *command) run(cmd *cobra.Command) error {
	rows, err := choose(c.commits)
	if err := errors.Join(err, flagvalue.OneOf("format", c.format, formats...), c.flags.Check()); err != nil {
		return c.Mistake(err)
	}
	ctx, stop := cli.WithSignals(cmd.Context())
	defer stop()
	names := c.flags.Kernels
	if c.flags.Target == targetflags.Local {
		names = []string{trial.Release()}
	}
	if c.list {
		names = []string{}
	}
	c.stderr = cmd.ErrOrStderr()
	if err := c.findAll(ctx, kernelsOf(rows, names)); err != nil {
		return err
	}
	t, failure := makeTable(ctx, rows, names, c.do)
	return errors.Join(t.Write(cmd.OutOrStdout(), c.format), failure)
}

// findAll finds all kernels before anything boots: a name that is none is no row's
// failure.
func (c *command) findAll(ctx context.Context, names []string) error {
	if len(names) == 0 || c.flags.Target == targetflags.Local {
		return nil
	}
	flags := c.flags
	flags.Kernels = names
	_, err := c.Find(ctx, &flags, c.stderr)
	return err
}

// do does a scenario on one kernel, in a directory that it doesn't keep.
func (c *command) do(ctx context.Context, s Scenario, kernel string) (_ *results.Run, err error) {
	flags := c.flags
	if flags.Target != targetflags.Local {
		flags.Kernels, flags.Modules, flags.MayBeBuiltIn = []string{kernel}, s.Modules, true
	}
	where, err := c.Find(ctx, &flags, c.stderr)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mapprof-seeds-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for a run: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out, err := results.Create(filepath.Join(dir, "run"))
	if err != nil {
		return nil, err
	}
	defer out.Abort()
	plan := engine.Plan{
		Target: where, Workload: s.Workload, Params: s.Params, Strategies: s.Strategies, Trials: 1, Seed: 1,
		Options: trial.DefaultOptions(), Out: out, Command: []string{"mapprof", "seeds"}, Progress: c.Progress(c.stderr),
	}
	plan.Options.NoDeaths = true
	if err := engine.Fit(where, trial.Job{Workload: plan.Workload, Params: plan.Params, Options: plan.Options}, plan.Strategies); err != nil {
		return nil, err
	}
	fmt.Fprintf(c.stderr, "mapprof run --kernel %s %s\n", kernel, s.Name)
	run, err := engine.Run(ctx, plan)
	plan.Progress.Finish()
	var guest *target.GuestError
	if errors.As(err, &guest) && guest.Console() != "" {
		fmt.Fprintf(c.stderr, "%v; its console:\n%s\n", err, safetext.Lines(guest.Console()))
	}
	return run, err
}
