// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// UntilDecided ends a run whose sides take turns when the gate decides: it looks
// after the fewest turns that the policy asks for, then after twice as many each
// time, and after MostTurns. To look K times would raise the chance to err; so each look has
// a K-th of the levels, whose sum they are then at most, however the looks
// depend on each other (Bonferroni). run.json keeps K, so that the gate says the same
// of the run later. What more trials can't settle ends the run too.
type UntilDecided struct {
	By, Baseline string // as JudgeTurns takes them
	Policy       Policy
	MostTurns    int
}

// Check says what is wrong with it, on that clock.
func (u *UntilDecided) Check(clock string) error {
	_, c := u.Policy.clock(results.Deterministic(clock))
	blocks := slices.ContainsFunc(u.Policy.Rules, func(r Rule) bool { return r.applies(clock) && u.Policy.action(&r, clock) == ActionBlock })
	switch {
	case u.MostTurns < c.MinTrials || u.MostTurns > 10000:
		return fmt.Errorf("as many as %d trials are not from %d, the policy's min_trials, to 10000", u.MostTurns, c.MinTrials)
	case u.Baseline == "":
		return errors.New("it needs the name of the kernel or strategy to judge against")
	case !blocks:
		return fmt.Errorf("the policy blocks nothing on a %s clock, so there is nothing to decide (host: dedicated in a policy changes that)", safetext.Name(clock))
	}
	return nil
}

// Looks returns after how many turns to look, in order.
func (u *UntilDecided) Looks(clock string) []int {
	_, c := u.Policy.clock(results.Deterministic(clock))
	var looks []int
	for n := c.MinTrials; n < u.MostTurns; n *= 2 {
		looks = append(looks, n)
	}
	return append(looks, u.MostTurns)
}

// Decides tells whether the run that has so many turns is decided. The run's
// Looks must be set.
func (u *UntilDecided) Decides(run *results.Run, turns int) bool {
	if !slices.Contains(u.Looks(run.Targets[0].Clock), turns) {
		return false
	}
	so := *run
	so.Scenarios = slices.Clone(run.Scenarios)
	for i := range so.Scenarios {
		so.Scenarios[i].Phases = nil // over all trials: they are not summed up yet
	}
	v := judgeTurns(compare.Input{Name: "this run", Run: &so}, u.By, u.Baseline, u.Policy)
	return v.Verdict != VerdictInconclusive || len(v.Reasons) > 0
}

// perLook divides the levels by how many times the runs were looked at.
func (p Policy) perLook(runs ...*results.Run) (Policy, int) {
	looks := 1
	for _, r := range runs {
		looks = max(looks, r.Looks)
	}
	for _, c := range []*ClockPolicy{&p.Deterministic, &p.Wall} {
		c.Alpha, c.PassAlpha = c.Alpha/float64(looks), c.PassAlpha/float64(looks)
	}
	return p, looks
}
