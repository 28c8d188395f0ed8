// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"
	"sort"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// strategyText is "requested → observed".
func strategyText(s *results.Scenario) string {
	observed := safetext.Name(s.Strategy.Observed)
	if observed == "" {
		observed = model.None
	}
	if s.Strategy.Requested == results.StrategyAny {
		return "observed: " + observed
	}
	return safetext.Name(s.Strategy.Requested) + " → " + observed
}

// strategyTitles lists "requested → observed" with the number of deaths.
func strategyTitles(g *model.Group) string {
	var parts []string
	for _, s := range g.Scenarios {
		parts = append(parts, model.NoBreak(strategyTitle(s)))
	}
	return strings.Join(parts, model.NBSP+"· ")
}

func strategyTitle(s *results.Scenario) string {
	return strategyText(s) + ", " + model.Plural(model.Deaths(s), "death")
}

// limboHeadline says in one sentence how long a freed map stays, by strategy.
func limboHeadline(g *model.Group) string {
	type entry struct {
		name string
		p50  int64
		n    uint64
	}
	var list []entry
	for _, s := range g.Scenarios {
		limbo := s.Phases[results.PhaseLimbo]
		if limbo.N == 0 {
			continue
		}
		name := model.StrategyName(s)
		if o := safetext.Name(s.Strategy.Observed); o != "" && o != name {
			name += " (observed: " + o + ")"
		}
		if s.Strategy.Requested == results.StrategyAny {
			name = ""
		}
		list = append(list, entry{name, limbo.P50NS, limbo.N})
	}
	if len(list) == 0 {
		return g.Kernel() + ": no map was seen to be freed"
	}
	sort.SliceStable(list, func(a, b int) bool { return list[a].p50 > list[b].p50 })
	var times []string
	for i, e := range list {
		t := model.NoBreak(model.FormatDuration(float64(e.p50)))
		switch {
		case e.n == 1:
			t += model.NBSP + "(one" + model.NBSP + "death)"
		case i == 0:
			t += model.NBSP + "(p50)"
		}
		if e.name != "" {
			t += " with " + e.name
		}
		times = append(times, t)
	}
	text := g.Kernel() + ": a freed map stays in memory " + strings.Join(times, ", ")
	last := list[len(list)-1]
	switch {
	case len(list) == 2 && last.p50 > 0:
		text += ": " + ratioText(list[0].p50, last.p50, list[0].n, last.n, "")
	case len(list) > 2 && last.p50 > 0:
		text += ": " + ratioText(list[0].p50, last.p50, list[0].n, last.n, " from first to last")
	case len(list) == 1 && len(g.Scenarios) == 1:
		if phase, share := model.LongestPhase(g.Scenarios[0].Phases); phase != "" {
			text += ", " + model.FormatShare(share) + " of it in " + phase
		}
	}
	for _, s := range g.Scenarios {
		if note := model.BatchNote(s); note != "" {
			return text + "; updates wait" + note
		}
	}
	return text
}

// ratioText is how much one median is of another, and of how many deaths they are.
func ratioText(a, b int64, n, of uint64, between string) string {
	text := model.FormatRatio(float64(a)/float64(b)) + between
	if n == of {
		return text + " " + model.NoBreak(fmt.Sprintf("(n = %d each)", n))
	}
	return text + " " + model.NoBreak(fmt.Sprintf("(n = %d and %d)", n, of))
}

// costHeadline says in one sentence what a lookup costs, the cheapest path
// first.
func costHeadline(g *model.Group) string {
	var parts []string
	for _, s := range g.Scenarios {
		costs := model.LookupCosts(s)
		if len(costs) == 0 {
			if waits := model.CallWaits(s); waits != "" {
				parts = append(parts, safetext.Name(s.KernelName())+": "+waits)
			}
			continue
		}
		var each []string
		for i, c := range costs {
			text := model.MetricCells(c.Metric)[0]
			if i == 0 && !strings.HasPrefix(c.Metric.Unit, "ns") {
				text += " " + strings.TrimSuffix(c.Metric.Unit, "/op")
			}
			switch {
			case c.Metric.N == 1:
				text += " (measured once)"
			case i == 0:
				text += " (p50)"
			}
			each = append(each, model.NoBreak(text)+" "+safetext.Name(c.Path))
		}
		parts = append(parts, safetext.Name(s.KernelName())+": "+model.CostOf(s)+" costs "+strings.Join(each, ", "))
	}
	if len(parts) == 0 {
		return g.Kernel() + ": no lookup was measured"
	}
	return strings.Join(parts, "; ")
}
