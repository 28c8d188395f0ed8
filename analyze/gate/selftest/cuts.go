// SPDX-License-Identifier: Apache-2.0

package selftest

import (
	"fmt"
	"slices"
	"strings"
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
	// BothSides: as the baseline they are no better. A scenario that only the
	// candidate has is new, and fine.
	BothSides bool
	Cuts      []Cut
}

// Cut is one of them.
type Cut struct {
	What string // what was taken
	Run  *results.Run
}

// CutsOf takes from copies of a run.json whatever the policy's verdict rests
// on. The first kind is an untouched copy, without which the others prove
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
		{Kind: "trials removed", BothSides: true, Note: "one, all but one, all; of either side"},
		{Kind: "scenarios removed", Note: "all; of the candidate"},
		{Kind: "metrics removed", BothSides: true},
		{Kind: "marked partial", BothSides: true, Note: "the run, one trial; of either side"},
	}
	if n := len(whole.Scenarios); n > 1 {
		kinds[2].Note = fmt.Sprintf("one of %d, all; of the candidate", n)
	}
	copies, trials, scenarios, metrics, partial := &kinds[0], &kinds[1], &kinds[2], &kinds[3], &kinds[4]
	c.add(copies, "nothing", func(*results.Run) {})
	c.add(scenarios, "all scenarios", func(r *results.Run) { r.Scenarios = nil })
	c.add(partial, "the end of the run", func(r *results.Run) { r.Partial = true })
	blocking := []string{}
	for i := range whole.Scenarios {
		s := &whole.Scenarios[i]
		if len(whole.Scenarios) > 1 {
			c.add(scenarios, "scenario "+s.ID, func(r *results.Run) { r.Scenarios = slices.Delete(r.Scenarios, i, i+1) })
		}
		for _, j := range someTrials(len(s.Trials)) {
			name := fmt.Sprintf("trial %d of %s", j, s.ID)
			if len(s.Trials) > 1 {
				c.add(trials, name, func(r *results.Run) { r.Scenarios[i].Trials = slices.Delete(r.Scenarios[i].Trials, j, j+1) })
			}
			c.add(partial, "the end of "+name, func(r *results.Run) { r.Scenarios[i].Trials[j].Partial = true })
		}
		if len(s.Trials) > 2 {
			c.add(trials, "all trials but one of "+s.ID, func(r *results.Run) { r.Scenarios[i].Trials = r.Scenarios[i].Trials[:1] })
		}
		c.add(trials, "all trials of "+s.ID, func(r *results.Run) { r.Scenarios[i].Trials = nil })
		names, err := blockingFigures(whole, s, p)
		if err != nil {
			return nil, fmt.Errorf("cut run: %w", err)
		}
		blocking = analyze.AppendNew(blocking, names...)
		for _, name := range names {
			c.add(metrics, name+" of "+s.ID, func(r *results.Run) { dropFigure(&r.Scenarios[i], name, 0) })
			if last := len(s.Trials) - 1; last > 0 {
				c.add(metrics, fmt.Sprintf("%s of trial %d of %s", name, last, s.ID), func(r *results.Run) { dropFigure(&r.Scenarios[i], name, last) })
			}
		}
	}
	metrics.Note = fmt.Sprintf("each of %d that block, from one trial, from all; of either side", len(blocking))
	if len(blocking) == 0 {
		metrics.Note = "the policy blocks on none that the run has"
	}
	for i := range kinds {
		if kinds[i].Want == "" {
			kinds[i].Want = gate.VerdictInconclusive
		}
	}
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

// blockingFigures names the scenario's figures that the policy blocks on.
func blockingFigures(run *results.Run, s *results.Scenario, p gate.Policy) ([]string, error) {
	figures, err := compare.FiguresOf(s)
	if err != nil {
		return nil, err
	}
	deterministic := results.Deterministic(run.Targets[s.TargetIx].Clock)
	var out []string
	for _, f := range figures {
		if p.Blocks(f.Name, deterministic) {
			out = append(out, f.Name)
		}
	}
	return out, nil
}

// dropFigure removes what the figure is of from a scenario's trials, from one
// on, and counts the rest anew: the totals give nothing away.
func dropFigure(s *results.Scenario, figure string, from int) {
	name := figure[:max(0, strings.LastIndexByte(figure, '/'))]
	for i := from; i < len(s.Trials); i++ {
		t := &s.Trials[i]
		if figure == compare.FigurePeakBytes || figure == compare.FigureByteSeconds {
			t.Limbo = results.Limbo{}
			continue
		}
		if total, ok := s.Phases[name]; ok {
			total.N -= t.Phases[name].N
			s.Phases[name] = total
		}
		delete(t.Phases, name)
		delete(t.Metrics, name)
		if name == results.PhaseUpdateWait {
			t.Expedited = 0
		}
	}
	if s.Phases[name].N == 0 {
		delete(s.Phases, name)
	}
	analyze.SumTrials(s)
}
