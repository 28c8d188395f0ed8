// SPDX-License-Identifier: Apache-2.0

package selftest

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// CutKind is copies of one run from which the same sort of thing was taken.
// Each is a valid run.json, and a gate must not take it for a whole one.
type CutKind struct {
	Kind string
	Want string // the verdict when held against the whole run
	Note string
	// BothSides: as the baseline they are no better.
	BothSides bool
	Cuts      []Cut
	accepted  string // by a policy that has this kind of difference
}

// Cut is one of them.
type Cut struct {
	What string // what was taken
	Run  *results.Run
}

// CutsOf takes things from copies of a run.json, but for kinds that the policy
// accepts to differ. The first kind is an untouched copy, without which the others prove
// nothing. Copies have another time than the run: a gate refuses a run against
// itself, and would never look at the rest.
func CutsOf(data []byte, p gate.Policy) ([]CutKind, error) {
	whole, err := results.DecodeRun(data)
	if err != nil {
		return nil, fmt.Errorf("cut run: %w", err)
	}
	c := &cutter{data: data}
	kinds := []CutKind{
		{Kind: "nothing removed", Want: gate.VerdictPass, BothSides: true, Note: "a copy under another time"},
		{Kind: "trials removed", BothSides: true, accepted: gate.DiffersTrials, Note: "one, all but one, all; of either side"},
		{Kind: "scenarios removed", BothSides: true, accepted: gate.DiffersScenarios, Note: "all; of either side"},
		{Kind: "metrics removed", BothSides: true, accepted: gate.DiffersFigures},
		{Kind: "marked partial", BothSides: true, Note: "the run, one trial; of either side"},
		{Kind: "throughput −10 %", Want: gate.VerdictRegression, Note: "the same, in more time; of the candidate"},
	}
	if n := len(whole.Scenarios); n > 1 {
		kinds[2].Note = fmt.Sprintf("one of %d, all; of either side", n)
	}
	copies, trials, scenarios, metrics, partial, slower := &kinds[0], &kinds[1], &kinds[2], &kinds[3], &kinds[4], &kinds[5]
	c.add(copies, "nothing", func(*results.Run) {})
	c.add(scenarios, "all scenarios", func(r *results.Run) { r.Scenarios = nil })
	c.add(partial, "the end of the run", func(r *results.Run) { r.Partial = true })
	for i := range whole.Scenarios {
		s := &whole.Scenarios[i]
		if len(whole.Scenarios) > 1 {
			c.add(scenarios, "scenario "+s.ID, func(r *results.Run) { r.Scenarios = slices.Delete(r.Scenarios, i, i+1) })
		}
		if s.Loop == results.LoopClosed && len(s.Trials) > 0 && s.Trials[0].Phases[results.PhaseOp].N > 0 { // the workload times operations
			c.add(slower, s.ID, func(r *results.Run) {
				for j := range r.Scenarios[i].Trials {
					r.Scenarios[i].Trials[j].DurationNS = r.Scenarios[i].Trials[j].DurationNS * 10 / 9
				}
			})
		}
		for _, j := range someTrials(len(s.Trials)) {
			name := fmt.Sprintf("trial %d of %s", j, s.ID)
			if len(s.Trials) > 1 {
				drop := func(r *results.Run) { r.Scenarios[i].Trials = slices.Delete(r.Scenarios[i].Trials, j, j+1) }
				c.add(trials, name, drop)
				c.add(trials, name+", and counted anew", func(r *results.Run) { drop(r); recount(&r.Scenarios[i]) })
			}
			c.add(partial, "the end of "+name, func(r *results.Run) { r.Scenarios[i].Trials[j].Partial = true })
		}
		if len(s.Trials) > 2 {
			c.add(trials, "all trials but one of "+s.ID, func(r *results.Run) { r.Scenarios[i].Trials = r.Scenarios[i].Trials[:1] })
		}
		c.add(trials, "all trials of "+s.ID, func(r *results.Run) { r.Scenarios[i].Trials = nil })
		names, err := measured(s)
		if err != nil {
			return nil, fmt.Errorf("cut run: %w", err)
		}
		for _, name := range names {
			c.add(metrics, name+" of "+s.ID, func(r *results.Run) { dropFigure(&r.Scenarios[i], name, 0) })
			if last := len(s.Trials) - 1; last > 0 {
				c.add(metrics, fmt.Sprintf("%s of trial %d of %s", name, last, s.ID), func(r *results.Run) { dropFigure(&r.Scenarios[i], name, last) })
			}
		}
	}
	if len(slower.Cuts) == 0 {
		slower.Note = "no closed loop whose operations are timed"
	}
	metrics.Note = "each phase and metric, from one trial, from all; of either side"
	for i := range kinds {
		if kinds[i].Want == "" {
			kinds[i].Want = gate.VerdictInconclusive
		}
	}
	kinds = slices.DeleteFunc(kinds, func(k CutKind) bool { return slices.Contains(p.Accept, k.accepted) })
	return kinds, c.err
}

// someTrials are the first, the middle and the last of n.
func someTrials(n int) []int {
	if n == 0 {
		return nil
	}
	return slices.Compact([]int{0, (n - 1) / 2, n - 1})
}

type cutter struct {
	data []byte
	err  error
}

// add makes a cut of a fresh copy.
func (c *cutter) add(k *CutKind, what string, take func(*results.Run)) {
	r, err := results.DecodeRun(c.data)
	if err != nil {
		c.err = fmt.Errorf("cut run: %w", err)
		return
	}
	r.Started, r.Ended = r.Started.Add(time.Hour), r.Ended.Add(time.Hour)
	take(r)
	k.Cuts = append(k.Cuts, Cut{What: safetext.Name(what), Run: r})
}

// Beside phases and metrics, a scenario has these to take.
const (
	memoryInLimbo = "memory in limbo"
	throughput    = "operations"
)

// measured names all that the scenario has figures of.
func measured(s *results.Scenario) ([]string, error) {
	figures, err := compare.FiguresOf(s)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range figures {
		name := path.Dir(f.Name)
		switch {
		case f.Samples > 0:
		case name == results.PhaseLimbo:
			name = memoryInLimbo
		default:
			name = throughput
		}
		out = analyze.AppendNew(out, name)
	}
	return out, nil
}

// dropFigure removes a phase, a metric or another thing that is measured from
// a scenario's trials, from one on, and counts the rest anew: the totals give
// nothing away.
func dropFigure(s *results.Scenario, name string, from int) {
	for i := from; i < len(s.Trials); i++ {
		t := &s.Trials[i]
		switch name {
		case memoryInLimbo:
			t.Limbo = results.Limbo{}
		case throughput:
			t.Ops, t.DurationNS = 0, 0
		case results.PhaseUpdateWait:
			t.Expedited = 0
		}
		delete(t.Phases, name)
		delete(t.Metrics, name)
	}
	recount(s)
}

// recount makes the totals those of the trials, which it numbers anew.
func recount(s *results.Scenario) {
	counts := map[string]uint64{}
	for i := range s.Trials {
		s.Trials[i].Index = i
		for name, p := range s.Trials[i].Phases {
			counts[name] += p.N
		}
	}
	for name, total := range s.Phases {
		if total.N = counts[name]; total.N == 0 {
			delete(s.Phases, name)
			continue
		}
		s.Phases[name] = total
	}
	analyze.SumTrials(s)
}
