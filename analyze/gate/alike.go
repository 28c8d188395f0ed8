// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// How the two sides may differ such that their figures are of different
// things. Each makes the verdict inconclusive, unless the policy accepts it.
const (
	DiffersScenarios  = "scenarios"  // one side lacks a scenario
	DiffersTrials     = "trials"     // they have not as many trials
	DiffersFigures    = "figures"    // one side lacks a phase or a metric, or some of its trials do
	DiffersOperations = "operations" // other operations than asked for, or another number of them
	DiffersDeaths     = "deaths"     // another number of deaths, or of values, for each operation
	DiffersStrategy   = "strategy"   // deaths took another path
	DiffersProbes     = "probes"     // other probes, or attached in another way
	DiffersRate       = "rate"       // an open loop's load
)

func differences() []string {
	return []string{DiffersScenarios, DiffersTrials, DiffersFigures, DiffersOperations, DiffersDeaths, DiffersStrategy, DiffersProbes, DiffersRate}
}

const (
	// sameShare is how far shares and counts may be apart, as a fraction.
	sameShare = 0.01
	// sameLoad is the same for what a clock decides: an open loop's rate, and
	// how long a trial lasted that was asked to last a time.
	sameLoad = 0.05
)

// sides are the two scenarios of a group that is judged.
type sides struct {
	name             string
	scenario         [2]*results.Scenario
	target           [2]*results.Target
	differ           func(kind, format string, args ...any)
	note             func(format string, args ...any)
	differentKernels bool
	exempt           []string // phases that probes can't see on one of two kernels
}

var sideNames = [2]string{"baseline", "candidate"}

// alike says how the sides of a group differ in kind, and which phases
// can't be held against each other.
func (g *gate) alike(group *compare.Group, inputs []compare.Input) *sides {
	s := &sides{name: safetext.Name(group.Name)}
	for i, side := range group.Sides[:2] {
		run := inputs[side.Input].Run
		s.scenario[i] = run.Find(side.Scenario)
		s.target[i] = &run.Targets[s.scenario[i].TargetIx]
	}
	s.differ = func(kind, format string, args ...any) { g.differ(kind, s.name+": "+fmt.Sprintf(format, args...)) }
	s.note = func(format string, args ...any) {
		g.verdict.Notes = analyze.AppendNew(g.verdict.Notes, s.name+": "+fmt.Sprintf(format, args...))
	}
	a, b := &s.target[0].Kernel, &s.target[1].Kernel
	s.differentKernels = a.SHA256 != b.SHA256 || a.Release != b.Release || a.Build != b.Build
	s.trials()
	s.probes()
	s.operations()
	s.deaths()
	s.paths()
	s.figures(group)
	return s
}

// differ says one difference: a reason, or a note where the policy accepts it.
func (g *gate) differ(kind, text string) {
	if slices.Contains(g.policy.Accept, kind) {
		g.verdict.Notes = analyze.AppendNew(g.verdict.Notes, text+" (the policy accepts "+kind+" that differ)")
		return
	}
	g.verdict.Reasons = analyze.AppendNew(g.verdict.Reasons, text)
}

func (s *sides) trials() {
	a, b := len(compare.WholeTrials(s.scenario[0])), len(compare.WholeTrials(s.scenario[1]))
	if a != b {
		s.differ(DiffersTrials, "the baseline has %d trials, the candidate %d", a, b)
	}
}

// probes holds what is attached against each other. Of two kernels one may
// lack functions: phases that can't be seen there are exempt, the whole isn't.
func (s *sides) probes() {
	attached := [2]map[string]string{analyze.Attached(s.target[0]), analyze.Attached(s.target[1])}
	names := map[string]bool{}
	for _, m := range attached {
		for name := range m {
			names[name] = true
		}
	}
	var lacking [2][]string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		_, function, _ := strings.Cut(name, "\x00")
		function = safetext.Name(function)
		a, b := attached[0][name], attached[1][name]
		switch {
		case a == b:
		case s.differentKernels && a == "":
			lacking[0] = append(lacking[0], function)
		case s.differentKernels && b == "":
			lacking[1] = append(lacking[1], function)
		default:
			s.differ(DiffersProbes, "%s is probed by %s in the baseline, by %s in the candidate", function, compare.OrNone(a), compare.OrNone(b))
		}
	}
	visible := [2][]string{s.target[0].VisiblePhases(), s.target[1].VisiblePhases()}
	for i, functions := range lacking {
		if len(functions) == 0 {
			continue
		}
		var phases []string
		for _, name := range visible[1-i] {
			if p, _ := results.PhaseNamed(name); p.Kind == results.PartOfDeath && !slices.Contains(visible[i], name) {
				phases = append(phases, name)
			}
		}
		s.exempt = append(s.exempt, phases...)
		text := "no phase is lost by it"
		if len(phases) > 0 {
			text = "not judged: " + strings.Join(phases, ", ")
		}
		s.note("the %s's kernel has no %s to probe; %s", sideNames[i], strings.Join(functions, ", "), text)
	}
}

// operations are those that were asked for, and as many on both sides.
func (s *sides) operations() {
	var ops, ns [2]float64
	for i, sc := range s.scenario {
		var asked uint64
		_, _ = fmt.Sscan(sc.Params["count"], &asked)
		for _, t := range sc.Trials {
			if t.Ops < asked {
				s.differ(DiffersOperations, "trial %d of the %s has %d operations, %d were asked for", t.Index, sideNames[i], t.Ops, asked)
			}
			ops[i] += float64(t.Ops) / float64(len(sc.Trials))
			ns[i] += float64(t.DurationNS) / float64(len(sc.Trials))
		}
	}
	timed, _ := time.ParseDuration(s.scenario[0].Params["duration"])
	rate := func(i int) float64 { return ops[i] / (ns[i] / 1e9) }
	switch open := s.scenario[0].Loop == results.LoopOpen; {
	case open && apart(rate(0), rate(1), sameLoad):
		s.differ(DiffersRate, "the load is not equal: %.4g operations a second in the baseline, %.4g in the candidate", rate(0), rate(1))
	case timed > 0 && apart(ns[0], ns[1], sameLoad):
		s.differ(DiffersOperations, "trials of the baseline last %.3g s, of the candidate %.3g s", ns[0]/1e9, ns[1]/1e9)
	case timed == 0 && apart(ops[0], ops[1], sameShare):
		s.differ(DiffersOperations, "%.4g operations a trial in the baseline, %.4g in the candidate", ops[0], ops[1])
	}
}

// apart says whether two figures differ by more than a fraction, or only one
// of them is there.
func apart(a, b, fraction float64) bool {
	return a != b && !(math.Abs(a-b) <= fraction*math.Max(math.Abs(a), math.Abs(b)))
}

// deaths counts what there is for each operation.
func (s *sides) deaths() {
	per := [2]map[string]float64{}
	for i, sc := range s.scenario {
		per[i] = map[string]float64{}
		var ops float64
		counts := map[string]float64{}
		for _, t := range sc.Trials {
			ops += float64(t.Ops)
			counts["deaths"] += float64(t.Puts)
			for name, p := range t.Phases {
				counts["values of "+safetext.Name(name)] += float64(p.N)
			}
			for name, m := range t.Metrics {
				counts["values of "+safetext.Name(name)] += float64(m.N)
			}
		}
		for name, n := range counts {
			per[i][name] = n / math.Max(1, ops)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(per[0])) {
		a, b := per[0][name], per[1][name]
		// What one side lacks altogether is another difference. A phase that hardly any death has is no measure.
		if name != "deaths" && math.Min(a, b) <= sameShare*math.Min(per[0]["deaths"], per[1]["deaths"]) {
			continue
		}
		if apart(a, b, sameShare) {
			s.differ(DiffersDeaths, "%s an operation: %.4g in the baseline, %.4g in the candidate", name, a, b)
		}
	}
}

// paths holds the shares of deaths that took each path against each other: of
// two kernels, by strategy, since a kernel may do two waits in one.
func (s *sides) paths() {
	var share [2]map[string]float64
	var waits, expedited [2]float64
	for i, sc := range s.scenario {
		share[i] = map[string]float64{}
		var total float64
		for _, t := range sc.Trials {
			for _, n := range t.Paths {
				total += float64(n)
			}
			waits[i] += float64(t.Phases[results.PhaseUpdateWait].N)
			expedited[i] += float64(t.Expedited)
		}
		for _, t := range sc.Trials {
			for p, n := range t.Paths {
				if s.differentKernels {
					p = analyze.StrategyOf(p)
				}
				share[i]["deaths went by "+safetext.Name(p)] += float64(n) / total
			}
		}
	}
	if !s.differentKernels && waits[0] > 0 && waits[1] > 0 {
		for i := range share {
			share[i]["update waits were expedited"] = expedited[i] / waits[i]
		}
	}
	names := map[string]bool{}
	for _, m := range share {
		for name := range m {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a, b := share[0][name], share[1][name]; math.Abs(a-b) > sameShare+1e-9 { // 1 - 0.99 is not 0.01
			s.differ(DiffersStrategy, "%.3g %% of %s in the baseline, %.3g %% in the candidate", 100*a, name, 100*b)
		}
	}
	if a, b := s.scenario[0].Strategy.Observed, s.scenario[1].Strategy.Observed; a != b {
		s.differ(DiffersStrategy, "strategy %s was observed in the baseline, %s in the candidate", compare.OrNone(a), compare.OrNone(b))
	}
}

// figures names the phases and metrics that one side has and the other hasn't,
// or not in every trial.
func (s *sides) figures(group *compare.Group) {
	told := map[string]bool{}
	for _, row := range group.Rows {
		of := path.Dir(row.Metric)
		if row.Samples == 0 {
			of = row.Metric
		}
		n := [2]int{row.Base.N, row.Cells[0].Center.N}
		if told[of] || s.isExempt(row.Metric) || s.rare(of) {
			continue
		}
		told[of] = true
		whole := [2]int{group.Sides[0].Trials, group.Sides[1].Trials}
		name := safetext.Name(of)
		switch {
		case n[0] == 0:
			s.differ(DiffersFigures, "%s is in the candidate and not in the baseline", name)
		case n[1] == 0:
			s.differ(DiffersFigures, "%s is in the baseline and not in the candidate", name)
		case n[0] != whole[0] || n[1] != whole[1]:
			s.differ(DiffersFigures, "%s is in %d of the baseline's %d trials, and in %d of the candidate's %d", name, n[0], whole[0], n[1], whole[1])
		}
	}
}

func (s *sides) isExempt(metric string) bool { return slices.Contains(s.exempt, path.Dir(metric)) }

// rare says that a part of a death hardly ever occurs, on either side.
func (s *sides) rare(phase string) bool {
	if p, ok := results.PhaseNamed(phase); !ok || p.Kind != results.PartOfDeath {
		return false
	}
	for _, sc := range s.scenario {
		var n, deaths float64
		for _, t := range sc.Trials {
			n += float64(t.Phases[phase].N)
			deaths += float64(t.Puts)
		}
		if n > sameShare*deaths {
			return false
		}
	}
	return true
}
