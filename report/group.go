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

// groups parts a run's scenarios, in the order in which they were run.
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

// paramsText lists a workload's parameters by name, without the empty ones.
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

// kernel is the release of the group's first scenario.
func (g *group) kernel() string { return analyze.SafeName(g.scenarios[0].KernelName()) }

// deaths is how many maps were seen to be freed.
func deaths(s *results.Scenario) uint64 { return s.Phases[results.PhaseLimbo].N }

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
			parts = append(parts, noBreak(plural(uint64(t.CPUs), "CPU")))
		}
		if t.MemoryBytes > 0 {
			parts = append(parts, noBreak(FormatBytes(float64(t.MemoryBytes)))+nbsp+"memory")
		}
	}
	if n := g.trials(); n != "" {
		parts = append(parts, noBreak(n))
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

// strategyNone is that of workloads that free nothing.
const strategyNone = "none"

// metricsOnly tells whether a scenario has no deaths to tell of, only figures,
// or not even these when it was interrupted.
func metricsOnly(s *results.Scenario) bool {
	for _, t := range s.Trials {
		if t.Puts > 0 || t.Expected > 0 {
			return false
		}
	}
	return len(s.Phases) == 0 && (len(s.Metrics) > 0 || s.Strategy.Requested == strategyNone)
}

// metricsOnly tells whether that is so of all the scenarios.
func (g *group) metricsOnly() bool {
	return !slices.ContainsFunc(g.scenarios, func(s *results.Scenario) bool { return !metricsOnly(s) })
}

// joinMetrics puts what differs in nothing but the kernel into one group, where
// there are only figures: they fit into one table.
func joinMetrics(list []*group) []*group {
	var out []*group
	byKey := map[string]*group{}
	for _, g := range list {
		if !g.metricsOnly() {
			out = append(out, g)
			continue
		}
		key := g.workload + "\x00" + g.params
		if g.target != nil {
			key += fmt.Sprintf("\x00%s\x00%s\x00%s\x00%d\x00%d", g.target.Kind, g.target.Accel, g.target.Clock, g.target.CPUs, g.target.MemoryBytes)
		}
		if have := byKey[key]; have != nil {
			have.scenarios = append(have.scenarios, g.scenarios...)
			continue
		}
		joined := *g
		joined.byKernel = true
		byKey[key] = &joined
		out = append(out, &joined)
	}
	return out
}

// row names a scenario within its group: the strategy, or the kernel where
// there is no other difference.
func (g *group) row(s *results.Scenario) string {
	if g.byKernel {
		return analyze.SafeName(s.KernelName())
	}
	return label(s)
}
