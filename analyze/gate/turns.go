// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// JudgeTurns judges one side of a run against the other: its two kernels
// (compare.ByKernel) or strategies (compare.ByStrategy), of which the one of that
// name is the baseline. Their trials took turns, and on a wall clock are compared
// in pairs. A kernel's name is its release or what was given to --kernel. A run
// that can't be read, or has not two such sides, is inconclusive. Nothing needs to
// be confirmed by a second run.
func JudgeTurns(path, by, baseline string, p Policy) *Verdict {
	_, in, err := compare.Open([]string{path})
	if err != nil {
		return Inconclusive(baseline, path, err.Error())
	}
	return judgeTurns(in[0], by, baseline, p)
}

func judgeTurns(in compare.Input, by, baseline string, p Policy) *Verdict {
	run := in.Run
	var sides [2]compare.Input
	var names []string
	found := false
	for i := range run.Scenarios {
		s := &run.Scenarios[i]
		name, also := s.Strategy.Requested, ""
		if by == compare.ByKernel {
			name, also = s.KernelName(), run.Targets[s.TargetIx].Kernel.Requested
		}
		if !slices.Contains(names, safetext.Name(name)) {
			names = append(names, safetext.Name(name))
		}
		side := 1
		if name == baseline || also == baseline && also != "" {
			side, found = 0, true
		}
		if sides[side].Run == nil {
			part := *run
			// They are not one run held against itself.
			part.Started, part.Scenarios = time.Time{}, nil
			sides[side] = compare.Input{Name: name, Run: &part}
		}
		sides[side].Run.Scenarios = append(sides[side].Run.Scenarios, *s)
	}
	have := safetext.Name(in.Name) + " has " + strings.Join(names, ", ")
	switch {
	case !found:
		return Inconclusive(baseline, in.Name, fmt.Sprintf("the run has no %s %s: %s", by, safetext.Name(baseline), have))
	case len(names) != 2 || sides[1].Run == nil:
		return Inconclusive(baseline, in.Name, fmt.Sprintf("two of a %s can be judged in one run: %s", by, have))
	}
	p.Confirm = false // a turn after the other is what a second run would show
	if by == compare.ByStrategy {
		// What two strategies differ in is no reason against judging them.
		p.Accept = append(slices.Clone(p.Accept), DiffersStrategy, DiffersFigures)
		for i := range sides[1].Run.Scenarios {
			sides[1].Run.Scenarios[i].Strategy.Requested = sides[0].Run.Scenarios[0].Strategy.Requested
		}
	}
	v := JudgeSides(sides[0], sides[1], p)
	v.Notes = append(v.Notes, turnsNote(run))
	return v
}

// JudgeSides is Judge of two sides whose trials of one index ran in one turn.
func JudgeSides(baseline, candidate compare.Input, p Policy) *Verdict {
	return judge(baseline, candidate, nil, p, true)
}

func turnsNote(run *results.Run) string {
	if len(run.Targets) > 0 && results.Deterministic(run.Targets[0].Clock) {
		return "the two sides took turns, which the deterministic clock doesn't mind"
	}
	return "the two sides took turns: changes are of pairs of trials, within a turn (signed ranks)"
}
