// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/report/term"
	"github.com/mapprof/mapprof/results"
)

// gateFlags are the flags of mapprof gate.
type gateFlags struct {
	baseline, candidate, confirm string
	policy, junit, format        string
	printPolicy, selfTest        bool
	self                         selfTestFlags
}

func newGateCmd() *cobra.Command {
	var flags gateFlags
	cmd := &cobra.Command{
		Use:   "gate --baseline A --candidate B",
		Short: "Judge a run against a baseline, with an exit code for CI",
		Long: `Judge a run against a baseline. The exit code is the verdict: 0 pass,
3 regression, 4 inconclusive (missing data, too few trials, too much lost, or
runs that aren't comparable), 1 failure, 2 usage. Missing data never passes.

  mapprof run --workload churn --kernel ./before --clock icount --trials 3 -o a
  mapprof run --workload churn --kernel ./after  --clock icount --trials 3 -o b
  mapprof gate --baseline a --candidate b --junit gate.xml

A pass says that every metric that blocks was shown not to be worse than its
limit; a regression, that one was shown to be worse. Without --policy these block
on the deterministic clock, by the limits that --print-policy shows: medians,
means and tails of ` + strings.Join(results.FeltPhases(), ", ") + `, and of what lookup and bigarray time,
memory in limbo, and throughput. All that a wall clock measured only advises. A
policy says otherwise:

  version: 1
  host: dedicated          # what a wall clock measures here may block
  accept: [probes]         # ways in which the two sides may differ in kind
  rules:
    - metrics: [limbo/p50, "update_wait/*"]
      relative: 5%         # no more than this worse,
      absolute: 100us      # or than this
      action: block        # or advise
    - metrics: ["**"]
      relative: 10%
      action: advise
      optional: true

In a GitHub workflow the verdict is also the step's summary and annotations.

--self-test proves the gate where it runs: unchanged pairs must pass, planted
slowdowns must fail, a run of which a part is missing must be inconclusive.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(cmd); err != nil {
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
			return runGate(cmd, &flags, policy)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.baseline, "baseline", "", "run directory to judge against")
	fs.StringVar(&flags.candidate, "candidate", "", "run directory to judge")
	fs.StringVar(&flags.confirm, "confirm", "", "second run of the candidate, where the policy wants regressions confirmed")
	fs.StringVar(&flags.policy, "policy", "", "what to judge by, a YAML file")
	fs.BoolVar(&flags.printPolicy, "print-policy", false, "print what would be judged by, as a policy file, and end")
	fs.StringVar(&flags.junit, "junit", "", "also write JUnit XML to this file")
	fs.StringVar(&flags.format, "format", "table", "table, json, markdown or csv")
	fs.BoolVar(&flags.selfTest, "self-test", false, "prove the gate on this machine; boots VMs")
	flags.self.add(fs)
	return cmd
}

func (f *gateFlags) check(cmd *cobra.Command) error {
	if err := checkFormat(f.format, term.Formats()...); err != nil {
		return err
	}
	if f.selfTest {
		for _, name := range []string{"baseline", "candidate", "confirm", "junit"} {
			if cmd.Flags().Changed(name) {
				return &usageError{fmt.Errorf("--self-test makes its own runs (leave out --%s)", name)}
			}
		}
		if f.format != "table" && f.format != "json" {
			return &usageError{errors.New("--self-test prints table or json")}
		}
		return f.self.check()
	}
	for _, name := range selfTestFlagNames {
		if cmd.Flags().Changed(name) {
			return &usageError{fmt.Errorf("--%s is for --self-test", name)}
		}
	}
	if (f.baseline == "" || f.candidate == "") && !f.printPolicy {
		return &usageError{errors.New("gate needs --baseline DIR and --candidate DIR (or --self-test)")}
	}
	return nil
}

func runGate(cmd *cobra.Command, flags *gateFlags, policy gate.Policy) error {
	v := gate.JudgeRuns(flags.baseline, flags.candidate, flags.confirm, policy)
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
