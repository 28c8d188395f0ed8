// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// Entry is one scenario of one run: one row of a table, one line of a chart.
type Entry struct {
	Loaded   *Loaded
	RunIndex int
	Scenario *results.Scenario
	Target   *results.Target
	ID       string // unique on the page, of letters and digits
	Label    string // what tells it from the other entries
	Facet    string // which chart it is drawn in
	Series   string // which line it is there
	Color    string // a CSS class
}

// Curve is what can be drawn of a phase; nil: there is nothing.
func (e *Entry) Curve(phase string) *Curve { return e.Loaded.curves[e.Scenario.ID][phase] }

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

// Empty tells whether it leaves nothing out.
func (f Filter) Empty() bool { return f == Filter{} }

func (f Filter) match(s *results.Scenario) bool {
	return (f.Scenario == "" || f.Scenario == s.ID) &&
		(f.Kernel == "" || f.Kernel == s.KernelName()) &&
		(f.Strategy == "" || f.Strategy == s.Strategy.Requested) &&
		(f.MapType == "" || slices.Contains(MapTypes(s), f.MapType))
}

// of is the scenarios that pass.
func (f Filter) of(all []results.Scenario) []results.Scenario {
	var out []results.Scenario
	for i := range all {
		if f.match(&all[i]) {
			out = append(out, all[i])
		}
	}
	return out
}

// MapTypes are the types of the maps that a scenario used.
func MapTypes(s *results.Scenario) []string {
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

// EntriesOf lists the scenarios of runs that pass the filter, labelled by what they
// differ in. facetBy is FacetKernel or FacetStrategy; empty: as fits the runs.
func EntriesOf(runs []*Loaded, f Filter, facetBy string) []*Entry {
	var out []*Entry
	for ri, l := range runs {
		for si := range l.Run.Scenarios {
			s := &l.Run.Scenarios[si]
			if !f.match(s) {
				continue
			}
			e := &Entry{Loaded: l, RunIndex: ri, Scenario: s, ID: fmt.Sprintf("r%ds%d", ri, si)}
			if s.TargetIx >= 0 && s.TargetIx < len(l.Run.Targets) {
				e.Target = &l.Run.Targets[s.TargetIx]
			}
			out = append(out, e)
		}
	}
	labelEntries(out, len(runs), facetBy)
	return out
}

func labelEntries(entries []*Entry, runs int, facetBy string) {
	kernels, names := ShortKernels(entries), ShortRuns(entries)
	all := make([][]attribute, len(entries))
	params := paramNames(entries)
	for i, e := range entries {
		all[i] = e.attributes(kernels[e.Scenario.KernelName()], names[e.RunIndex], params)
	}
	if facetBy == "" && runs > 1 {
		facetBy = FacetStrategy // what differs between runs lies over each other
	} else if facetBy == "" {
		facetBy = FacetKernel
	}
	varies := varying(all)
	seen, next := map[string]bool{}, map[string]int{}
	series := map[string]int{} // in the order in which they come
	for i, e := range entries {
		var label, line []string
		for j, a := range all[i] {
			if a.name == facetBy {
				e.Facet = a.value
			}
			if !varies[j] || a.value == "" {
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
		for base := e.Label; seen[e.Label]; {
			next[base] = max(next[base]+1, 2)
			e.Label = base + " (" + strconv.Itoa(next[base]) + ")"
		}
		seen[e.Label] = true
		e.Series = strings.Join(line, " · ")
		if e.Series == "" {
			e.Series = e.Label
		}
		ix, known := series[e.Series]
		if !known {
			ix = len(series)
			series[e.Series] = ix
		}
		e.Color = colorOf(e.Series, ix)
	}
}

// varying tells of each attribute whether the entries differ in it.
func varying(all [][]attribute) []bool {
	if len(all) == 0 {
		return nil
	}
	out := make([]bool, len(all[0]))
	for _, a := range all[1:] {
		for j := range a {
			out[j] = out[j] || a[j].value != all[0][j].value
		}
	}
	return out
}

func paramNames(entries []*Entry) []string {
	names := map[string]bool{}
	for _, e := range entries {
		for k := range e.Scenario.Params {
			names[k] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (e *Entry) attributes(kernel, run string, params []string) []attribute {
	out := []attribute{
		{"run", run},
		{"workload", safetext.Name(e.Scenario.Workload)},
		{FacetKernel, kernel},
	}
	for _, p := range params {
		out = append(out, attribute{safetext.Name(p), safetext.Name(e.Scenario.Params[p])})
	}
	if e.Target != nil {
		out = append(out, attribute{"accel", safetext.Name(e.Target.Accel)}, attribute{"clock", safetext.Name(e.Target.Clock)},
			attribute{"CPUs", CPUs(e.Target)})
	} else {
		out = append(out, attribute{"accel", ""}, attribute{"clock", ""}, attribute{"CPUs", ""})
	}
	return append(out, attribute{FacetStrategy, safetext.Name(e.Scenario.Strategy.Requested)})
}

func (a attribute) text() string {
	switch a.name {
	case "run", "workload", FacetKernel, FacetStrategy, "outer", "inner", "op", "accel", "clock":
		return a.value
	}
	return a.name + " " + a.value
}

const seriesColors = 8

func colorOf(series string, ix int) string {
	if s, ok := results.StrategyNamed(series); ok && s.Class != "" {
		return s.Class
	}
	c := fmt.Sprintf("c%d", ix%seriesColors)
	if d := ix / seriesColors; d > 0 {
		c += fmt.Sprintf(" d%d", min(d, 2))
	}
	return c
}

// ShortRuns names the runs by their index; equal names get a number.
func ShortRuns(entries []*Entry) map[int]string {
	names := map[int]string{}
	count := map[string]int{}
	for _, e := range entries {
		if _, ok := names[e.RunIndex]; ok {
			continue
		}
		name := e.Loaded.Name
		if count[name]++; count[name] > 1 {
			name += fmt.Sprintf(" (%d)", count[name])
		}
		names[e.RunIndex] = name
	}
	return names
}

// Facet is the entries that are drawn in one chart.
type Facet struct {
	Name    string
	Entries []*Entry
}

// FacetsOf parts entries by their facet, in the order in which these come.
func FacetsOf(entries []*Entry) []*Facet {
	var out []*Facet
	byName := map[string]*Facet{}
	for _, e := range entries {
		f := byName[e.Facet]
		if f == nil {
			f = &Facet{Name: e.Facet}
			byName[e.Facet] = f
			out = append(out, f)
		}
		f.Entries = append(f.Entries, e)
	}
	return out
}

// ShownPhases are those that at least one of the entries has, limbo first: it
// is what a chart shows when nothing was chosen.
func ShownPhases(entries []*Entry) []string {
	var out []string
	order := append([]string{results.PhaseLimbo}, results.DeathPhases()...)
	for _, p := range append(order, results.BesidePhases()...) {
		if slices.ContainsFunc(entries, func(e *Entry) bool { return e.Scenario.Phases[p].N > 0 }) {
			out = append(out, p)
		}
	}
	return out
}
