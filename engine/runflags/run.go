// SPDX-License-Identifier: Apache-2.0

//go:build linux

package runflags

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/workloads"
)

// Run is the flags of a run.
type Run struct {
	Flags

	decided    engine.DecidedFlags
	workload   string
	flags      *workloads.Flags
	params     map[string]string // of the workload that were given
	strategies []string
}

// Add registers the flags.
func (r *Run) Add(fs *pflag.FlagSet, defaultKernel string) {
	var names []string
	for _, d := range workloads.All() {
		names = append(names, d.Name)
	}
	fs.StringVar(&r.workload, "workload", "churn", "what drives the kernel: "+strings.Join(names, ", ")+"; each has flags of its own")
	flagvalue.SetKnown(fs, "workload", names...)
	fs.StringSliceVar(&r.strategies, "strategy", nil, "grace-period strategies, compared side by side: "+strings.Join(results.FreeingStrategies(), ", "))
	r.AddRun(fs, "WORKLOAD")
	fs.BoolVar(&r.Options.NoProbes, "no-probes", false, "attach no probes: only time operations, from user space, to see what watching costs")
	fs.BoolVar(&r.Options.Stacks, "stacks", false, "keep the callers' stacks of lookups (each costs more than the lookup)")
	r.decided.Add(fs)
	r.AddTracer(fs, defaultKernel)
	flagvalue.SetGroup(fs, flagvalue.What, "workload", "strategy", "no-probes", "stacks")
	r.flags = workloads.NewFlags(fs, &r.workload)
}

// Complete has a shell offer the values of the flags whose values hang on others.
func (r *Run) Complete(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if r.flags.Has(f.Name) {
			cli.Complete(cmd, f.Name, func() []string { return r.flags.Known(f.Name) })
		}
	})
	cli.Complete(cmd, "strategy", func() []string {
		d, err := workloads.Find(r.workload)
		if err != nil {
			return nil
		}
		return d.New().Strategies()
	})
}

// Usage describes the flags of the workload that was asked for, or lists them all.
func (r *Run) Usage(asked bool, width int) string {
	if d, err := workloads.Find(r.workload); asked && err == nil {
		return "\n" + cli.Wrap("Flags of --workload "+d.Name+", which "+d.Summary+":", width, 2) + "\n" + cli.FlagUsages(workloads.FlagsOf(d), width)
	}
	return "\nWorkloads (\"mapprof help WORKLOAD\" tells the flags of one):\n" + cli.Terms(width, workloads.Summaries()...)
}

// Check says what is wrong with the flags.
func (r *Run) Check([]string) error {
	w, params, err := r.flags.Workload()
	if err != nil {
		return flagvalue.PlainError(err)
	}
	r.params = params
	if err := r.Flags.Check(); err != nil {
		return err
	}
	if err := r.checkStrategies(w); err != nil {
		return err
	}
	if err := r.CheckTracer(r.workload); err != nil {
		return err
	}
	if err := r.decided.Check(r.Machine.Clock, &r.Trials); err != nil {
		return err
	}
	if modular, ok := w.(workloads.Modular); ok {
		r.Modules, r.MayBeBuiltIn = modular.Modules(), true
	}
	var atLeast, setup time.Duration
	if timed, ok := w.(workloads.Timed); ok {
		atLeast = timed.AtLeast()
	}
	if slow, ok := w.(workloads.SlowSetup); ok {
		setup = slow.SetupWithin()
	}
	return r.AllowFor(atLeast, setup)
}

func (r *Run) checkStrategies(w workloads.Workload) error {
	if r.strategies != nil && len(r.strategies) == 0 {
		return fmt.Errorf("--strategy names none (known: %s)", strings.Join(w.Strategies(), ", "))
	}
	if len(r.strategies) == 0 {
		r.strategies = w.Strategies()[:1]
	}
	for i, s := range r.strategies {
		if err := w.Check(s); err != nil {
			return err
		}
		if slices.Contains(r.strategies[:i], s) {
			return fmt.Errorf("--strategy names %s twice", s)
		}
	}
	return nil
}

// Plan is what the flags ask for, on that target.
func (r *Run) Plan(where target.Target, _ io.Writer) (engine.Plan, error) {
	plan := r.plan(where, r.workload)
	plan.Params, plan.Strategies = r.params, r.strategies
	r.decided.Plan(&plan)
	return plan, nil
}
