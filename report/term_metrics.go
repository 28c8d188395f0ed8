// SPDX-License-Identifier: Apache-2.0

package report

import (
	"maps"
	"slices"

	"github.com/mapprof/mapprof/results"
)

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
