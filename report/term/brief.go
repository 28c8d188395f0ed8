// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// mostRows is how many rows of metrics a run may have that is told in brief.
const mostRows = 24

// tooMany tells whether a run is to be told in brief.
func tooMany(groups []*model.Group) bool {
	return slices.ContainsFunc(groups, func(g *model.Group) bool {
		rows := 0
		for _, s := range g.Scenarios {
			rows += len(s.Metrics)
		}
		return rows > mostRows
	})
}

// inBrief tells what is beside the death on a few lines: accesses by path, a lookup's cost
// beside an update's, then all else but details.
func (p *printer) inBrief(g *model.Group) {
	if len(g.Scenarios[0].Metrics) == 0 {
		return
	}
	accesses := &grid{header: []string{"per access", "strategy", "lookup p50", "p99", bar, "update p50", "p99"}, left: map[int]bool{0: true, 1: true}, color: p.o.Color}
	if g.ByKernel {
		accesses.header[1] = "kernel"
	}
	for _, s := range g.Scenarios {
		for _, path := range slices.Sorted(maps.Keys(s.Metrics)) {
			path, ok := strings.CutPrefix(path, model.LookupPrefix)
			if !ok || strings.Contains(path, ".") {
				continue
			}
			row := []string{safetext.Name(path), g.RowName(s)}
			for i, kind := range []string{model.LookupPrefix, updatePrefix} {
				if i > 0 {
					row = append(row, bar)
				}
				cells := []string{model.None, model.None, model.None, model.None}
				if m, ok := s.Metrics[kind+path]; ok {
					cells = model.MetricCells(m)
				}
				row = append(row, cells[0], cells[2])
			}
			accesses.add(row...)
		}
	}
	if len(g.Scenarios) == 1 {
		accesses = accesses.without("strategy").without("kernel")
	}
	if len(accesses.rows) > 0 {
		p.grid(accesses)
	}
	p.blankLine()
	for _, s := range g.Scenarios {
		name := "beside"
		if len(g.Scenarios) > 1 {
			name = g.RowName(s)
		}
		p.note(name, strings.Join(besides(s), ", "))
	}
}

const updatePrefix = "update."

// besides are a scenario's other figures, one a piece.
func besides(s *results.Scenario) (texts []string) {
	tell := func(name, value string, n uint64) {
		text := name + " " + value
		if n > 1 {
			text += fmt.Sprintf(" (p50 of %d)", n)
		}
		texts = append(texts, model.NoBreak(text))
	}
	for _, phase := range results.BesidePhases() {
		if v, ok := s.Phases[phase]; ok && v.N > 0 {
			tell(phase, model.DurationCells(v, true)[0], v.N)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Metrics)) {
		m := s.Metrics[name]
		if m.N > 0 && !model.IsDetail(name, s.Metrics) && !strings.HasPrefix(name, model.LookupPrefix) && !strings.HasPrefix(name, updatePrefix) {
			tell(model.MetricName(name, m), model.MetricCells(m)[0], m.N)
		}
	}
	return texts
}

// proofs sums up the findings that are all right, and prints the others.
func (p *printer) proofs(run *results.Run) {
	const fine = ": ok: "
	count := map[string]int{}
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			for _, f := range t.Findings {
				if what, _, ok := strings.Cut(f, fine); ok {
					count[what]++
				} else {
					p.note("found", safetext.Text(fmt.Sprintf("%s trial %d: %s", s.ID, t.Index, f)))
				}
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(count)) {
		p.note("found", safetext.Text(what)+": ok, "+model.Plural(uint64(count[what]), "proof"))
	}
}

// leftOut says what else there is.
func (p *printer) leftOut(run *results.Run) {
	n := 0
	for _, s := range run.Scenarios {
		for name := range s.Metrics {
			if model.IsDetail(name, s.Metrics) {
				n++
			}
		}
	}
	p.note("more", fmt.Sprintf("-v tells all percentiles, %s of details, each proof, how all was measured", model.Plural(uint64(n), "figure")))
}
