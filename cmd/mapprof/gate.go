// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/results"
)

// gateFlags are the flags of mapprof gate.
type gateFlags struct {
	baseline, candidate, confirm string
	by, kernel, strategy         string // of one run
	policy, junit, format        string
	printPolicy, selfTest        bool
	self                         selfTestFlags
}

func newGateCmd() *cobra.Command {
	var flags gateFlags
	cmd := &cobra.Command{
		Use:   "gate {--baseline A --candidate B | RUN --by kernel --baseline-kernel NAME}",
		Short: "Judge a run against a baseline, with an exit code for CI",
		Long: `Judge a run against a baseline. The exit code is the verdict: 0 pass,
3 regression, 4 inconclusive (missing data, too few trials, too much lost, or
runs that aren't comparable), 1 failure, 2 usage. Missing data never passes.

  mapprof run --workload churn --kernel ./before --clock icount --trials 3 -o a
  mapprof run --workload churn --kernel ./after  --clock icount --trials 3 -o b
  mapprof gate --baseline a --candidate b --junit gate.xml

Two kernels or strategies of one run took turns, which suits a wall clock; they
are compared in pairs, turn by turn:

  mapprof run --workload churn --kernel ./before --kernel ./after --trials 20 -o ab
  mapprof gate ab --by kernel --baseline-kernel ./before

A pass says that every metric that blocks was shown not to be worse than its
limit; a regression, that one was shown to be worse. Without --policy these block
on the deterministic clock, by the limits that --print-policy shows: medians,
means and tails of ` + strings.Join(results.FeltPhases(), ", ") + `, and of what lookup and bigarray time,
memory in limbo, and throughput. All that a wall clock measured only advises. A
policy file may say otherwise (docs/ci.md).

In a GitHub workflow the verdict is also the step's summary and annotations.

--self-test proves the gate where it runs: unchanged pairs must pass, planted
slowdowns must fail, a run of which a part is missing must be inconclusive.`,
		Args: cli.AtMost(1, "name runs with --baseline DIR and --candidate DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(cmd, args); err != nil {
				return err
			}
			policy, err := gate.OpenPolicy(flags.policy)
			switch {
			case err != nil:
				return &usageError{err}
			case flags.printPolicy:
				return policy.Write(cmd.OutOrStdout())
			case flags.selfTest:
				return runSelfTest(cmd, &flags.self, policy, flags.format)
			}
			return runGate(cmd, &flags, args, policy)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.baseline, "baseline", "", "run directory to judge against")
	fs.StringVar(&flags.candidate, "candidate", "", "run directory to judge")
	fs.StringVar(&flags.confirm, "confirm", "", "second run of the candidate, where the policy wants regressions confirmed")
	fs.StringVar(&flags.by, "by", "", "judge one side of a single run against the other: kernel or strategy")
	flagvalue.SetKnown(fs, "by", "kernel", "strategy")
	fs.StringVar(&flags.kernel, "baseline-kernel", "", "with --by kernel: the one to judge against")
	fs.StringVar(&flags.strategy, "baseline-strategy", "", "with --by strategy: the one to judge against")
	fs.StringVar(&flags.policy, "policy", "", "what to judge by, a YAML file")
	fs.BoolVar(&flags.printPolicy, "print-policy", false, "print what would be judged by, as a policy file, and end")
	fs.StringVar(&flags.junit, "junit", "", "also write JUnit XML to this file")
	cli.AddFormat(fs, &flags.format, term.Formats()...)
	fs.BoolVar(&flags.selfTest, "self-test", false, "prove the gate on this machine; boots VMs")
	flags.self.add(fs)
	flagvalue.SetGroup(fs, flagvalue.What, "baseline", "candidate", "confirm", "by", "baseline-kernel", "baseline-strategy", "policy")
	flagvalue.SetGroup(fs, flagvalue.Output, "junit", "format", "print-policy")
	flagvalue.SetGroup(fs, flagvalue.SelfTest, append([]string{"self-test"}, selfTestFlagNames...)...)
	return cmd
}

func (f *gateFlags) check(cmd *cobra.Command, args []string) error {
	if err := checkFormat(f.format, term.Formats()...); err != nil {
		return err
	}
	if f.selfTest {
		for _, name := range []string{"baseline", "candidate", "confirm", "junit", "by", "baseline-kernel", "baseline-strategy", "print-policy"} {
			if cmd.Flags().Changed(name) || len(args) > 0 {
				return &usageError{fmt.Errorf("--self-test makes its own runs (leave out --%s)", name)}
			}
		}
		if f.format != "table" && f.format != "json" && f.self.simulate == 0 {
			return &usageError{errors.New("--self-test prints table or json")}
		}
		return f.self.check(cmd.Flags().Changed)
	}
	for _, name := range selfTestFlagNames {
		if cmd.Flags().Changed(name) {
			return &usageError{fmt.Errorf("--%s is for --self-test", name)}
		}
	}
	two, one := f.baseline != "" || f.candidate != "" || f.confirm != "", len(args) > 0 || f.by != "" || f.kernel != "" || f.strategy != ""
	switch {
	case f.printPolicy:
	case one && (two || len(args) == 0 || f.side() == ""):
		return &usageError{errors.New("one run is judged by RUN --by kernel --baseline-kernel NAME, or RUN --by strategy --baseline-strategy NAME")}
	case !one && (f.baseline == "" || f.candidate == ""):
		return &usageError{errors.New("gate needs --baseline DIR and --candidate DIR (or RUN --by kernel, or --self-test)")}
	}
	return nil
}

// side is the name of the side of one run that is judged against.
func (f *gateFlags) side() string {
	switch {
	case f.by == compare.ByKernel && f.strategy == "":
		return f.kernel
	case f.by == compare.ByStrategy && f.kernel == "":
		return f.strategy
	}
	return ""
}

func (f *gateFlags) judge(args []string, policy gate.Policy) *gate.Verdict {
	if len(args) == 0 {
		return gate.JudgeRuns(f.baseline, f.candidate, f.confirm, policy)
	}
	return gate.JudgeTurns(args[0], f.by, f.side(), policy)
}

func runGate(cmd *cobra.Command, flags *gateFlags, args []string, policy gate.Policy) error {
	v := flags.judge(args, policy)
	stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	errs := []error{term.PrintVerdict(stdout, v, flags.format, term.OptionsFor(stdout, ""))}
	if flags.junit != "" {
		errs = append(errs, term.WriteJUnitFile(flags.junit, v))
	}
	errs = append(errs, term.TellGitHub(stderr, v, os.Getenv))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return verdictError(v)
}

// verdictError is the exit code of a verdict.
func verdictError(v *gate.Verdict) error {
	switch v.Verdict {
	case gate.VerdictPass:
		return nil
	case gate.VerdictRegression:
		return &exitError{code: exitRegression}
	}
	return &exitError{code: exitInconclusive}
}
