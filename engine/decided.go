// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/internal/flagvalue"
)

// DecidedFlags are the flags of a run that ends when the gate decides.
type DecidedFlags struct {
	on                       bool
	most                     int
	kernel, strategy, policy string
	until                    gate.UntilDecided
}

const mostTurns = 80

// Add registers the flags.
func (f *DecidedFlags) Add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.on, "until-decided", false, "add trials until the gate decides between two kernels or strategies")
	fs.IntVar(&f.most, "max-trials", mostTurns, "with --until-decided: how many at most")
	fs.StringVar(&f.kernel, "baseline-kernel", "", "with --until-decided: the one to judge against")
	fs.StringVar(&f.strategy, "baseline-strategy", "", "with --until-decided: the one to judge against")
	fs.StringVar(&f.policy, "policy", "", "with --until-decided: what to judge by, a YAML file")
	flagvalue.SetGroup(fs, flagvalue.HowMuch, "until-decided", "max-trials", "baseline-kernel", "baseline-strategy", "policy")
}

// Check says what is wrong with the flags, of a run on that clock, and makes
// trials as many as it has at most.
func (f *DecidedFlags) Check(clock string, trials *int) error {
	switch {
	case !f.on && (f.kernel+f.strategy+f.policy != "" || f.most != mostTurns):
		return errors.New("--max-trials, --baseline-kernel, --baseline-strategy and --policy are for --until-decided")
	case !f.on:
		return nil
	case *trials != 1:
		return errors.New("--until-decided takes --max-trials for --trials")
	case f.kernel != "" && f.strategy != "":
		return errors.New("--until-decided judges by --baseline-kernel or by --baseline-strategy")
	}
	policy, err := gate.OpenPolicy(f.policy)
	if err != nil {
		return err
	}
	f.until = gate.UntilDecided{By: compare.ByKernel, Baseline: f.kernel, Policy: policy, MostTurns: f.most}
	if f.strategy != "" {
		f.until.By, f.until.Baseline = compare.ByStrategy, f.strategy
	}
	if err := f.until.Check(clock); err != nil {
		return fmt.Errorf("--until-decided: %w", err)
	}
	*trials = f.most
	return nil
}

// Plan lets a plan end when the gate decides, if the flags say so.
func (f *DecidedFlags) Plan(p *Plan) {
	if f.on {
		p.Decided, p.Looks = f.until.Decides, len(f.until.Looks(p.Target.Clock()))
	}
}
