// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// Group is the scenarios that differ in nothing but the strategy: what one
// table sets side by side.
type Group struct {
	Target    *results.Target
	Workload  string
	Loop      string
	Params    string
	Scenarios []*results.Scenario
	ByKernel  bool // they differ in the kernel, not in the strategy
}

// GroupsOf parts a run's scenarios, in the order in which they were run.
func GroupsOf(run *results.Run) []*Group {
	var out []*Group
	byKey := map[string]*Group{}
	for i := range run.Scenarios {
		s := &run.Scenarios[i]
		params := ParamsText(s.Params)
		key := fmt.Sprintf("%d\x00%s\x00%s\x00%s\x00%s", s.TargetIx, s.KernelName(), s.Workload, s.Loop, params)
		g := byKey[key]
		if g == nil {
			g = &Group{Workload: s.Workload, Loop: s.Loop, Params: params}
			if s.TargetIx >= 0 && s.TargetIx < len(run.Targets) {
				g.Target = &run.Targets[s.TargetIx]
			}
			byKey[key] = g
			out = append(out, g)
		}
		g.Scenarios = append(g.Scenarios, s)
	}
	return out
}

// ParamsText lists a workload's parameters by name, without the empty ones.
func ParamsText(params map[string]string) string {
	var parts []string
	for k, v := range params {
		if v != "" {
			parts = append(parts, safetext.Name(k)+"="+safetext.Name(v))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

// Kernel is the release of the group's first scenario.
func (g *Group) Kernel() string { return safetext.Name(g.Scenarios[0].KernelName()) }

// Deaths is how many maps were seen to be freed.
func Deaths(s *results.Scenario) uint64 { return s.Phases[results.PhaseLimbo].N }

// StrategyName names a scenario within its group: the strategy that was asked for.
func StrategyName(s *results.Scenario) string { return safetext.Name(s.Strategy.Requested) }

// RateText says how many operations a second a scenario's trials did of those
// that they were asked for; empty: a closed loop.
func RateText(s *results.Scenario) string {
	var asked, least, most float64
	for _, t := range s.Trials {
		if t.Rate == nil {
			continue
		}
		if asked == 0 {
			least = t.Rate.AchievedPerSecond
		}
		asked = t.Rate.AskedPerSecond
		least, most = min(least, t.Rate.AchievedPerSecond), max(most, t.Rate.AchievedPerSecond)
	}
	if asked == 0 {
		return ""
	}
	achieved := fmt.Sprintf("%.4g", least)
	if to := fmt.Sprintf("%.4g", most); to != achieved {
		achieved += " to " + to
	}
	return fmt.Sprintf("asked for %.4g operations a second, achieved %s", asked, achieved)
}

// PhasesOf lists those that at least one of the scenarios has, in order.
func (g *Group) PhasesOf(candidates []string) []string {
	return slices.DeleteFunc(slices.Clone(candidates), func(phase string) bool {
		return !slices.ContainsFunc(g.Scenarios, func(s *results.Scenario) bool { _, ok := s.Phases[phase]; return ok })
	})
}

// CPUs is how many CPUs a target has, and how many of them the workload was
// allowed if not all.
func CPUs(t *results.Target) string { return strconv.Itoa(t.CPUs) + cpusAllowed(t) }

func cpusAllowed(t *results.Target) string {
	if t.CPUsAllowed == 0 || t.CPUsAllowed == t.CPUs {
		return ""
	}
	return fmt.Sprintf(" (%d allowed)", t.CPUsAllowed)
}

// Subtitle says what ran and where.
func (g *Group) Subtitle() string {
	parts := []string{safetext.Name(g.Workload)}
	if g.Params != "" {
		parts[0] += " " + g.Params
	}
	if g.Loop != "" {
		parts = append(parts, safetext.Name(g.Loop)+" loop")
	}
	if t := g.Target; t != nil {
		where := "target " + safetext.Name(t.Kind)
		how := []string{safetext.Name(t.Arch), safetext.Name(t.Accel)}
		if how = slices.DeleteFunc(how, func(s string) bool { return s == "" || s == "none" }); len(how) > 0 {
			where += " (" + strings.Join(how, ", ") + ")"
		}
		parts = append(parts, where)
		if t.Clock != "" {
			parts = append(parts, safetext.Name(t.Clock)+" clock")
		}
		if t.CPUs > 0 {
			parts = append(parts, NoBreak(Plural(uint64(t.CPUs), "CPU")+cpusAllowed(t)))
		}
		if t.MemoryBytes > 0 {
			parts = append(parts, NoBreak(FormatBytes(float64(t.MemoryBytes)))+NBSP+"memory")
		}
	}
	if n := g.trials(); n != "" {
		parts = append(parts, NoBreak(n))
	}
	return strings.Join(parts, NBSP+"· ")
}

// trials says how many there are of each scenario.
func (g *Group) trials() string {
	least, most := len(g.Scenarios[0].Trials), 0
	for _, s := range g.Scenarios {
		least, most = min(least, len(s.Trials)), max(most, len(s.Trials))
	}
	each := ""
	if len(g.Scenarios) > 1 {
		each = " each"
	}
	switch {
	case most == 0:
		return ""
	case least != most:
		return fmt.Sprintf("%d to %d trials each", least, most)
	}
	return Plural(uint64(most), "trial") + each
}

// MetricsOnly tells whether a scenario has no deaths to tell of, only figures,
// or not even these when it was interrupted.
func MetricsOnly(s *results.Scenario) bool {
	for _, t := range s.Trials {
		if t.Puts > 0 || t.Expected > 0 {
			return false
		}
	}
	return len(s.Phases) == 0 && (len(s.Metrics) > 0 || s.Strategy.Requested == results.StrategyNone)
}

// MetricsOnly tells whether that is so of all the scenarios.
func (g *Group) MetricsOnly() bool {
	return !slices.ContainsFunc(g.Scenarios, func(s *results.Scenario) bool { return !MetricsOnly(s) })
}

// JoinKernels puts what differs in nothing but the kernel into one group, where
// there are only figures: they fit into one table.
func JoinKernels(list []*Group) []*Group {
	var out []*Group
	byKey := map[string]*Group{}
	for _, g := range list {
		if !g.MetricsOnly() {
			out = append(out, g)
			continue
		}
		key := g.Workload + "\x00" + g.Params
		if g.Target != nil {
			key += fmt.Sprintf("\x00%s\x00%s\x00%s\x00%s\x00%d", g.Target.Kind, g.Target.Accel, g.Target.Clock, CPUs(g.Target), g.Target.MemoryBytes)
		}
		if have := byKey[key]; have != nil {
			have.Scenarios = append(have.Scenarios, g.Scenarios...)
			continue
		}
		joined := *g
		joined.ByKernel = true
		byKey[key] = &joined
		out = append(out, &joined)
	}
	return out
}

// RowName names a scenario within its group: the strategy, or the kernel where
// there is no other difference.
func (g *Group) RowName(s *results.Scenario) string {
	if g.ByKernel {
		return safetext.Name(s.KernelName())
	}
	return StrategyName(s)
}
