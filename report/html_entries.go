// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// entry is one scenario of one run: one row of a table, one line of a chart.
type entry struct {
	run    *Loaded
	runIx  int
	s      *results.Scenario
	target *results.Target
	ID     string // unique on the page, of letters and digits
	Label  string // what tells it from the other entries
	Facet  string // which chart it is drawn in
	Series string // which line it is there
	Color  string // a CSS class
}

// curve is what can be drawn of a phase; nil: there is nothing.
func (e *entry) curve(phase string) *curve { return e.run.curves[e.s.ID][phase] }

// Facets part the entries into charts that share their axes.
const (
	FacetKernel   = "kernel"
	FacetStrategy = "strategy"
)

// Filter chooses scenarios; empty fields choose all.
type Filter struct {
	Scenario string // its ID
	Kernel   string // its release
	Strategy string // as requested
	MapType  string // of the inner or the outer map
}

// empty tells whether it leaves nothing out.
func (f Filter) empty() bool { return f == Filter{} }

func (f Filter) match(s *results.Scenario) bool {
	return (f.Scenario == "" || f.Scenario == s.ID) &&
		(f.Kernel == "" || f.Kernel == s.KernelName()) &&
		(f.Strategy == "" || f.Strategy == s.Strategy.Requested) &&
		(f.MapType == "" || slices.Contains(mapTypes(s), f.MapType))
}

// mapTypes are the types of the maps that a scenario used.
func mapTypes(s *results.Scenario) []string {
	var out []string
	for _, p := range []string{"inner", "outer"} {
		if v := s.Params[p]; v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// attributes are what scenarios may differ in, in the order that labels name
// them. The strategy is last.
type attribute struct{ name, value string }

// newEntries lists the scenarios of runs that pass the filter, labelled by what they
// differ in. facetBy is FacetKernel or FacetStrategy; empty: as fits the runs.
func newEntries(runs []*Loaded, f Filter, facetBy string) []*entry {
	var out []*entry
	for ri, l := range runs {
		for si := range l.Run.Scenarios {
			s := &l.Run.Scenarios[si]
			if !f.match(s) {
				continue
			}
			e := &entry{run: l, runIx: ri, s: s, ID: fmt.Sprintf("r%ds%d", ri, si)}
			if s.TargetIx >= 0 && s.TargetIx < len(l.Run.Targets) {
				e.target = &l.Run.Targets[s.TargetIx]
			}
			out = append(out, e)
		}
	}
	labelEntries(out, len(runs), facetBy)
	return out
}

func labelEntries(entries []*entry, runs int, facetBy string) {
	kernels, names := shortKernels(entries), shortRuns(entries)
	all := make([][]attribute, len(entries))
	params := paramNames(entries)
	for i, e := range entries {
		all[i] = e.attributes(kernels[e.s.KernelName()], names[e.runIx], params)
	}
	if facetBy == "" && runs > 1 {
		facetBy = FacetStrategy // what differs between runs lies over each other
	} else if facetBy == "" {
		facetBy = FacetKernel
	}
	seen := map[string]bool{}
	var series []string
	for i, e := range entries {
		var label, line []string
		for j, a := range all[i] {
			varies := slices.ContainsFunc(all, func(o []attribute) bool { return o[j].value != a.value })
			if a.name == facetBy {
				e.Facet = a.value
			}
			if !varies || a.value == "" {
				continue
			}
			label = append(label, a.text())
			if a.name != facetBy {
				line = append(line, a.text())
			}
		}
		e.Label = strings.Join(label, " · ")
		if e.Label == "" {
			e.Label = all[i][len(all[i])-1].value
		}
		// Equal labels are possible: of two runs with the same name, say.
		for base, n := e.Label, 2; seen[e.Label]; n++ {
			e.Label = base + " (" + strconv.Itoa(n) + ")"
		}
		seen[e.Label] = true
		e.Series = strings.Join(line, " · ")
		if e.Series == "" {
			e.Series = e.Label
		}
		if !slices.Contains(series, e.Series) {
			series = append(series, e.Series)
		}
	}
	for _, e := range entries {
		e.Color = colorOf(e.Series, slices.Index(series, e.Series))
	}
}

func paramNames(entries []*entry) []string {
	var names []string
	for _, e := range entries {
		for k := range e.s.Params {
			if !slices.Contains(names, k) {
				names = append(names, k)
			}
		}
	}
	slices.Sort(names)
	return names
}

func (e *entry) attributes(kernel, run string, params []string) []attribute {
	out := []attribute{
		{"run", run},
		{"workload", analyze.SafeName(e.s.Workload)},
		{FacetKernel, kernel},
	}
	for _, p := range params {
		out = append(out, attribute{analyze.SafeName(p), analyze.SafeName(e.s.Params[p])})
	}
	if e.target != nil {
		out = append(out, attribute{"accel", analyze.SafeName(e.target.Accel)}, attribute{"clock", analyze.SafeName(e.target.Clock)},
			attribute{"CPUs", strconv.Itoa(e.target.CPUs)})
	} else {
		out = append(out, attribute{"accel", ""}, attribute{"clock", ""}, attribute{"CPUs", ""})
	}
	return append(out, attribute{FacetStrategy, analyze.SafeName(e.s.Strategy.Requested)})
}

func (a attribute) text() string {
	switch a.name {
	case "run", "workload", FacetKernel, FacetStrategy, "outer", "inner", "op", "accel", "clock":
		return a.value
	}
	return a.name + " " + a.value
}

// The strategies have the colour of the phase that they wait in.
var strategyColors = map[string]string{
	analyze.StrategyRCU: "c0", analyze.StrategyTasksTrace: "c1", analyze.StrategyImmediate: "c2", analyze.StrategySync: "c3",
}

const seriesColors = 8

func colorOf(series string, ix int) string {
	if c, ok := strategyColors[series]; ok {
		return c
	}
	c := fmt.Sprintf("c%d", ix%seriesColors)
	if d := ix / seriesColors; d > 0 {
		c += fmt.Sprintf(" d%d", min(d, 2))
	}
	return c
}

// shortRuns names the runs by their index; equal names get a number.
func shortRuns(entries []*entry) map[int]string {
	names := map[int]string{}
	count := map[string]int{}
	for _, e := range entries {
		if _, ok := names[e.runIx]; ok {
			continue
		}
		name := e.run.Name
		if count[name]++; count[name] > 1 {
			name += fmt.Sprintf(" (%d)", count[name])
		}
		names[e.runIx] = name
	}
	return names
}

// facet is the entries that are drawn in one chart.
type facet struct {
	Name    string
	Entries []*entry
}

// facetsOf parts entries by their facet, in the order in which these come.
func facetsOf(entries []*entry) []*facet {
	var out []*facet
	byName := map[string]*facet{}
	for _, e := range entries {
		f := byName[e.Facet]
		if f == nil {
			f = &facet{Name: e.Facet}
			byName[e.Facet] = f
			out = append(out, f)
		}
		f.Entries = append(f.Entries, e)
	}
	return out
}

// pagePhases are those that at least one of the entries has, limbo first: it
// is what a chart shows when nothing was chosen.
func pagePhases(entries []*entry) []string {
	var out []string
	order := append([]string{results.PhaseLimbo}, results.DeathPhases()...)
	for _, p := range append(order, results.PhaseUpdateWait, results.PhaseOp) {
		if slices.ContainsFunc(entries, func(e *entry) bool { return e.s.Phases[p].N > 0 }) {
			out = append(out, p)
		}
	}
	return out
}
