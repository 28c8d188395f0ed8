// SPDX-License-Identifier: Apache-2.0

package term

import (
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// phaseGrids lays the phases of a death out in the first way that fits the
// width: strategies beside each other, below each other within every phase, or
// each in a table of its own. The second has no place for the observed
// strategy and the number of deaths: the note that goes before it says them.
func phaseGrids(g *model.Group, o Options) (note string, grids []*grid) {
	phases := g.PhasesOf(append(results.DeathPhases(), results.PhaseLimbo))
	if len(phases) == 0 {
		return strategyTitles(g), nil
	}
	if len(g.Scenarios) > 1 {
		if t := sideBySide(g, phases, o); t.width() <= o.Width {
			return "", []*grid{t}
		}
		if t := stacked(g, phases, o); t.width() <= o.Width {
			return strategyTitles(g), []*grid{t}
		}
	}
	for _, s := range g.Scenarios {
		one := &model.Group{Target: g.Target, Workload: g.Workload, Loop: g.Loop, Params: g.Params, Scenarios: []*results.Scenario{s}}
		grids = append(grids, sideBySide(one, one.PhasesOf(phases), o))
	}
	return "", grids
}

// sideBySide has phases as rows and a block of columns for every strategy. The
// number of values has a column only where a phase's isn't that of the deaths.
func sideBySide(g *model.Group, phases []string, o Options) *grid {
	t := &grid{header: []string{"phase"}, left: map[int]bool{0: true}, bars: map[int]bool{}, titles: map[int]string{}, bold: map[int]bool{}, color: o.Color}
	var counted []bool
	var figures [][]string
	for i, s := range g.Scenarios {
		figures = append(figures, model.Figures(model.MostValues(phases, s)))
		if i > 0 {
			t.bars[len(t.header)] = true
			t.header = append(t.header, bar)
		}
		t.titles[len(t.header)] = strategyTitle(s)
		own := slices.ContainsFunc(phases, func(p string) bool {
			v, ok := s.Phases[p]
			return ok && v.N != model.Deaths(s)
		})
		counted = append(counted, own)
		if own {
			t.header = append(t.header, "n")
		}
		t.header = append(append(t.header, figures[i]...), "share")
	}
	for _, phase := range phases {
		row := []string{phase}
		for i, s := range g.Scenarios {
			if i > 0 {
				row = append(row, bar)
			}
			v, ok := s.Phases[phase]
			if counted[i] {
				row = append(row, model.CountCell(v.N, ok))
			}
			row = append(append(row, model.DurationCells(v, ok)[:len(figures[i])]...), model.ShareCell(s, phase))
		}
		t.addPhase(phase, row)
	}
	return t
}

// addPhase sets the whole apart from its parts.
func (t *grid) addPhase(phase string, row []string) {
	if phase == results.PhaseLimbo && len(t.rows) > 0 {
		t.rule()
	}
	if phase == results.PhaseLimbo {
		t.bold[len(t.rows)] = true
	}
	t.add(row...)
}

// stacked has a row for every phase and strategy.
func stacked(g *model.Group, phases []string, o Options) *grid {
	figures := model.Figures(model.MostValues(phases, g.Scenarios...))
	t := &grid{header: append(append([]string{"phase", "strategy", "n"}, figures...), "share"),
		left: map[int]bool{0: true, 1: true}, bold: map[int]bool{}, color: o.Color}
	for _, phase := range phases {
		name := phase
		if len(t.rows) > 0 {
			t.rule()
		}
		for _, s := range g.Scenarios {
			v, ok := s.Phases[phase]
			if !ok {
				continue
			}
			if phase == results.PhaseLimbo {
				t.bold[len(t.rows)] = true
			}
			t.add(append(append([]string{name, model.StrategyName(s), model.CountCell(v.N, true)}, model.DurationCells(v, true)[:len(figures)]...), model.ShareCell(s, phase))...)
			name = ""
		}
	}
	return t
}

// besideDeathGrid holds what is beside the death: waits, operations, metrics.
func besideDeathGrid(g *model.Group, o Options) *grid {
	what, by := "beside the death", "strategy"
	if g.ByKernel {
		what, by = "cost", "kernel"
	}
	phases := g.PhasesOf(results.BesidePhases())
	figures := model.Figures(max(model.MostValues(phases, g.Scenarios...), model.MostMetricValues(g.Scenarios...)))
	t := &grid{header: append([]string{what, by, "n"}, figures...), left: map[int]bool{0: true, 1: true}, color: o.Color}
	for _, phase := range phases {
		name := phase
		if phase == results.PhaseOp && g.Loop != "" {
			name += " (" + safetext.Name(g.Loop) + " loop)"
		}
		for _, s := range g.Scenarios {
			if v, ok := s.Phases[phase]; ok {
				row := name
				if phase == results.PhaseUpdateWait {
					row += model.ExpeditedNote(s) + model.BatchNote(s)
				}
				t.add(append([]string{strings.TrimSpace(row), model.StrategyName(s), model.CountCell(v.N, true)}, model.DurationCells(v, true)[:len(figures)]...)...)
				name = ""
			}
		}
	}
	t.addMetrics(g, len(figures))
	if len(t.rows) == 0 {
		return nil
	}
	// What can be done without goes first; the headline names the only kernel.
	for _, column := range []string{"p90", by, "n"} {
		switch {
		case t.width() <= o.Width:
			return t
		case column != by || len(g.Scenarios) == 1:
			t = t.without(column)
		case g.ByKernel:
			t.shortenKernels()
		}
	}
	return t
}

// shortenKernels leaves the versions of the kernels in column 1, where these
// tell them apart.
func (t *grid) shortenKernels() {
	short, taken := map[string]string{}, map[string]bool{}
	for _, row := range t.rows {
		if short[row[1]] != "" {
			continue
		}
		v := model.KernelVersion(row[1])
		if v == "" || taken[v] {
			return
		}
		short[row[1]], taken[v] = v, true
	}
	for _, row := range t.rows {
		row[1] = short[row[1]]
	}
}

// memoryGrids hold the memory in limbo and the balance of the trials, in one
// table where that fits.
func memoryGrids(g *model.Group, o Options) []*grid {
	memory := &grid{header: []string{"memory in limbo", "peak", "maps", "byte-seconds"}, left: map[int]bool{0: true}, color: o.Color}
	balance := &grid{header: []string{"balance", "puts", "= freed", "+ in flight", "+ lost"}, left: map[int]bool{0: true}, color: o.Color}
	both := &grid{header: append(append(slices.Clone(memory.header), bar), balance.header[1:]...), left: map[int]bool{0: true}, color: o.Color}
	for _, s := range g.Scenarios {
		var puts, freed, inFlight, lost uint64
		for _, tr := range s.Trials {
			puts, freed, inFlight, lost = puts+tr.Puts, freed+tr.Freed, inFlight+tr.InFlight, lost+tr.Lost
		}
		held := []string{model.StrategyName(s), model.None, model.None, model.None}
		if freed+inFlight > 0 {
			held = []string{model.StrategyName(s), model.FormatBytes(float64(s.Limbo.PeakBytes)), model.CountCell(s.Limbo.PeakMaps, true), model.FormatByteSeconds(s.Limbo.ByteSeconds)}
		}
		sums := []string{model.StrategyName(s), model.CountCell(puts, true), model.CountCell(freed, true), model.CountCell(inFlight, true), model.CountCell(lost, true)}
		memory.add(held...)
		balance.add(sums...)
		both.add(append(append(slices.Clone(held), bar), sums[1:]...)...)
	}
	if both.width() <= o.Width {
		return []*grid{both}
	}
	return []*grid{memory, balance}
}
