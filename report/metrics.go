// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// lookupPrefix starts the metrics that are the cost of one lookup by a path.
const lookupPrefix = "lookup."

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

// metricCells are a metric's p50, p90, p99 and maximum.
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

// metricCell is one of its values.
func metricCell(m results.Metric, v float64) string {
	switch m.Unit {
	case "ns", "ns/op":
		return FormatDuration(v)
	case "bytes":
		return FormatBytes(v)
	}
	return significant(v, false)
}

// measurement is how some metrics were measured.
type measurement struct{ Names, Method string }

// measurementsOf lists how the metrics were measured, those alike together; where the
// kernels differ, the last one's words stand.
func measurementsOf(scenarios []*results.Scenario) []measurement {
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
	out := make([]measurement, 0, len(said))
	for _, h := range said {
		out = append(out, measurement{strings.Join(names[h], ", "), analyze.SafeText(h)})
	}
	return out
}
