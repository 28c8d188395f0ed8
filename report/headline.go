// SPDX-License-Identifier: Apache-2.0

package report

import (
	"sort"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// strategyText is "requested → observed".
func strategyText(s *results.Scenario) string {
	observed := analyze.SafeName(s.Strategy.Observed)
	if observed == "" {
		observed = none
	}
	return analyze.SafeName(s.Strategy.Requested) + " → " + observed
}

// strategyTitles lists "requested → observed" with the number of deaths.
func strategyTitles(g *group) string {
	var parts []string
	for _, s := range g.scenarios {
		parts = append(parts, noBreak(strategyTitle(s)))
	}
	return strings.Join(parts, nbsp+"· ")
}

func strategyTitle(s *results.Scenario) string {
	return strategyText(s) + ", " + plural(deaths(s), "death")
}

// limboHeadline says in one sentence how long a freed map stays, by strategy.
func limboHeadline(g *group) string {
	type entry struct {
		name string
		p50  int64
	}
	var list []entry
	for _, s := range g.scenarios {
		limbo := s.Phases[results.PhaseLimbo]
		if limbo.N == 0 {
			continue
		}
		name := label(s)
		if o := analyze.SafeName(s.Strategy.Observed); o != "" && o != name {
			name += " (observed: " + o + ")"
		}
		list = append(list, entry{name, limbo.P50NS})
	}
	if len(list) == 0 {
		return g.kernel() + ": no map was seen to be freed"
	}
	sort.SliceStable(list, func(a, b int) bool { return list[a].p50 > list[b].p50 })
	text := g.kernel() + ": a freed map stays in memory "
	for i, e := range list {
		if i > 0 {
			text += ", "
		}
		text += noBreak(FormatDuration(float64(e.p50)))
		if i == 0 {
			text += nbsp + "(p50)"
		}
		text += " with " + e.name
	}
	last := list[len(list)-1]
	switch {
	case len(list) == 2 && last.p50 > 0:
		text += ": " + formatRatio(float64(list[0].p50)/float64(last.p50))
	case len(list) > 2 && last.p50 > 0:
		text += ": " + formatRatio(float64(list[0].p50)/float64(last.p50)) + " from first to last"
	case len(list) == 1 && len(g.scenarios) == 1:
		if phase, share := longest(g.scenarios[0].Phases); phase != "" {
			text += ", " + formatShare(share) + " of it in " + phase
		}
	}
	return text
}

// costHeadline says in one sentence what a lookup costs, the cheapest path
// first.
func costHeadline(g *group) string {
	var parts []string
	for _, s := range g.scenarios {
		costs := lookupCosts(s)
		if len(costs) == 0 {
			continue
		}
		var each []string
		for i, c := range costs {
			text := metricCells(c.metric)[0]
			if i == 0 && !strings.HasPrefix(c.metric.Unit, "ns") {
				text += " " + strings.TrimSuffix(c.metric.Unit, "/op")
			}
			if i == 0 {
				text += " (p50)"
			}
			each = append(each, noBreak(text)+" "+analyze.SafeName(c.path))
		}
		parts = append(parts, analyze.SafeName(s.KernelName())+": a lookup costs "+strings.Join(each, ", "))
	}
	if len(parts) == 0 {
		return g.kernel() + ": no lookup was measured"
	}
	return strings.Join(parts, "; ")
}
