// SPDX-License-Identifier: Apache-2.0

package report

import (
	"maps"
	"slices"

	"github.com/mapprof/mapprof/results"
)

// addMetrics adds the metrics to a table, each by scenario.
func (t *grid) addMetrics(g *group) {
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
				if s == firstWith(g, m) {
					name = metricName(m, v)
				}
				t.add(append([]string{name, g.row(s), count(v.N, true)}, metricCells(v)...)...)
				name = ""
			}
		}
	}
}

// firstWith returns the first scenario that has a metric.
func firstWith(g *group, metric string) *results.Scenario {
	for _, s := range g.scenarios {
		if _, ok := s.Metrics[metric]; ok {
			return s
		}
	}
	return nil
}
