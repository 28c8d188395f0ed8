// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// group is the scenarios that differ in nothing but the strategy: what one
// table sets side by side.
type group struct {
	target    *results.Target
	workload  string
	loop      string
	params    string
	scenarios []*results.Scenario
	byKernel  bool // they differ in the kernel, not in the strategy
}

func groups(run *results.Run) []*group {
	var out []*group
	byKey := map[string]*group{}
	for i := range run.Scenarios {
		s := &run.Scenarios[i]
		params := paramsText(s.Params)
		key := fmt.Sprintf("%d\x00%s\x00%s\x00%s\x00%s", s.TargetIx, s.KernelName(), s.Workload, s.Loop, params)
		g := byKey[key]
		if g == nil {
			g = &group{workload: s.Workload, loop: s.Loop, params: params}
			if s.TargetIx >= 0 && s.TargetIx < len(run.Targets) {
				g.target = &run.Targets[s.TargetIx]
			}
			byKey[key] = g
			out = append(out, g)
		}
		g.scenarios = append(g.scenarios, s)
	}
	return out
}

func paramsText(params map[string]string) string {
	var parts []string
	for k, v := range params {
		if v != "" {
			parts = append(parts, analyze.SafeName(k)+"="+analyze.SafeName(v))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

func (g *group) kernel() string { return analyze.SafeName(g.scenarios[0].KernelName()) }

// deaths is how many maps were seen to be freed.
func deaths(s *results.Scenario) uint64 { return s.Phases[results.PhaseLimbo].N }

// strategyText is "requested → observed".
func strategyText(s *results.Scenario) string {
	observed := analyze.SafeName(s.Strategy.Observed)
	if observed == "" {
		observed = none
	}
	return analyze.SafeName(s.Strategy.Requested) + " → " + observed
}

// label names a scenario within its group: the strategy that was asked for.
func label(s *results.Scenario) string { return analyze.SafeName(s.Strategy.Requested) }

// phasesOf lists those that at least one of the scenarios has, in order.
func (g *group) phasesOf(candidates []string) []string {
	return slices.DeleteFunc(slices.Clone(candidates), func(phase string) bool {
		return !slices.ContainsFunc(g.scenarios, func(s *results.Scenario) bool { _, ok := s.Phases[phase]; return ok })
	})
}

// subtitle says what ran and where.
func (g *group) subtitle() string {
	parts := []string{analyze.SafeName(g.workload)}
	if g.params != "" {
		parts[0] += " " + g.params
	}
	if g.loop != "" {
		parts = append(parts, analyze.SafeName(g.loop)+" loop")
	}
	if t := g.target; t != nil {
		where := "target " + analyze.SafeName(t.Kind)
		if t.Accel != "" && t.Accel != "none" {
			where += " (" + analyze.SafeName(t.Accel) + ")"
		}
		parts = append(parts, where)
		if t.Clock != "" {
			parts = append(parts, analyze.SafeName(t.Clock)+" clock")
		}
		if t.CPUs > 0 {
			parts = append(parts, together(plural(uint64(t.CPUs), "CPU")))
		}
		if t.MemoryBytes > 0 {
			parts = append(parts, together(FormatBytes(float64(t.MemoryBytes)))+nbsp+"memory")
		}
	}
	if n := g.trials(); n != "" {
		parts = append(parts, together(n))
	}
	return strings.Join(parts, nbsp+"· ")
}

// trials says how many there are of each scenario.
func (g *group) trials() string {
	least, most := len(g.scenarios[0].Trials), 0
	for _, s := range g.scenarios {
		least, most = min(least, len(s.Trials)), max(most, len(s.Trials))
	}
	each := ""
	if len(g.scenarios) > 1 {
		each = " each"
	}
	switch {
	case most == 0:
		return ""
	case least != most:
		return fmt.Sprintf("%d to %d trials each", least, most)
	}
	return plural(uint64(most), "trial") + each
}

// strategies lists "requested → observed" with the number of deaths.
func (g *group) strategies() string {
	var parts []string
	for _, s := range g.scenarios {
		parts = append(parts, together(strategyTitle(s)))
	}
	return strings.Join(parts, nbsp+"· ")
}

func strategyTitle(s *results.Scenario) string {
	return strategyText(s) + ", " + plural(deaths(s), "death")
}

// headline says in one sentence how long a freed map stays, by strategy.
func (g *group) headline() string {
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
		text += together(FormatDuration(float64(e.p50)))
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
