// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// lookupPrefix starts the metrics that are the cost of one lookup by a path.
const lookupPrefix = "lookup."

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

// metricsHeadline says in one sentence what a lookup costs, the cheapest path
// first.
func (g *group) metricsHeadline() string {
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
			each = append(each, together(text)+" "+analyze.SafeName(c.path))
		}
		parts = append(parts, analyze.SafeName(s.KernelName())+": a lookup costs "+strings.Join(each, ", "))
	}
	if len(parts) == 0 {
		return g.kernel() + ": no lookup was measured"
	}
	return strings.Join(parts, "; ")
}

// lookupCost is what a lookup by one path costs.
type lookupCost struct {
	path   string
	metric results.Metric
}

// lookupCosts lists the paths that were measured, the cheapest first.
func lookupCosts(s *results.Scenario) []lookupCost {
	var costs []lookupCost
	for name, m := range s.Metrics {
		if path, ok := strings.CutPrefix(name, lookupPrefix); ok && m.N > 0 && !strings.Contains(path, ".") {
			costs = append(costs, lookupCost{path, m})
		}
	}
	slices.SortFunc(costs, func(a, b lookupCost) int {
		return cmp.Or(cmp.Compare(a.metric.P50, b.metric.P50), strings.Compare(a.path, b.path))
	})
	return costs
}

// metricRows adds the metrics to a table, each by scenario.
func (g *group) metricRows(t *grid) {
	names := map[string]bool{}
	for _, s := range g.scenarios {
		for m := range s.Metrics {
			names[m] = true
		}
	}
	for _, m := range slices.Sorted(maps.Keys(names)) {
		name := ""
		for _, s := range g.scenarios {
			if v, ok := s.Metrics[m]; ok {
				if s == g.first(m) {
					name = metricName(m, v)
				}
				t.add(append([]string{name, g.row(s), count(v.N, true)}, metricCells(v)...)...)
				name = ""
			}
		}
	}
}

// first returns the first scenario that has a metric.
func (g *group) first(metric string) *results.Scenario {
	for _, s := range g.scenarios {
		if _, ok := s.Metrics[metric]; ok {
			return s
		}
	}
	return nil
}

// metricName says a metric's unit where its cells don't.
func metricName(name string, m results.Metric) string {
	name = analyze.SafeName(name)
	switch m.Unit {
	case "ns", "bytes", "":
		return name
	case "ns/op":
		return name + " (per op)"
	}
	return name + " (" + analyze.SafeName(m.Unit) + ")"
}

func metricCells(m results.Metric) []string {
	if m.N == 0 {
		return []string{none, none, none, none}
	}
	out := make([]string, 0, 4)
	for _, v := range []float64{m.P50, m.P90, m.P99, m.Max} {
		out = append(out, metricCell(m, v))
	}
	return out
}

func metricCell(m results.Metric, v float64) string {
	switch m.Unit {
	case "ns", "ns/op":
		return FormatDuration(v)
	case "bytes":
		return FormatBytes(v)
	}
	return significant(v, false)
}

// measuredBy is how some metrics were measured.
type measuredBy struct{ Names, How string }

// howsOf lists how the metrics were measured, those alike together; where the
// kernels differ, the last one's words stand.
func howsOf(scenarios []*results.Scenario) []measuredBy {
	how := map[string]string{}
	for _, s := range scenarios {
		for name, m := range s.Metrics {
			if m.How != "" {
				how[name] = m.How
			}
		}
	}
	names := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(how)) {
		names[how[name]] = append(names[how[name]], analyze.SafeName(name))
	}
	said := slices.SortedFunc(maps.Keys(names), func(a, b string) int { return strings.Compare(names[a][0], names[b][0]) })
	out := make([]measuredBy, 0, len(said))
	for _, h := range said {
		out = append(out, measuredBy{strings.Join(names[h], ", "), analyze.SafeText(h)})
	}
	return out
}

func (p *printer) hows(run *results.Run) {
	scenarios := make([]*results.Scenario, len(run.Scenarios))
	for i := range run.Scenarios {
		scenarios[i] = &run.Scenarios[i]
	}
	for _, h := range howsOf(scenarios) {
		p.note("how", h.Names+": "+h.How)
	}
}

// findings prints what the workload found to be so.
func (p *printer) findings(run *results.Run) {
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			for _, f := range t.Findings {
				p.note("found", analyze.SafeText(fmt.Sprintf("%s trial %d: %s", s.ID, t.Index, f)))
			}
		}
	}
}
