// SPDX-License-Identifier: Apache-2.0

package term

import (
	"maps"
	"slices"

	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// addMetrics adds the metrics to a table, each by scenario with so many figures.
func (t *grid) addMetrics(g *model.Group, figures int) {
	names := map[string]bool{}
	for _, s := range g.Scenarios {
		for m := range s.Metrics {
			names[m] = true
		}
	}
	for _, m := range slices.Sorted(maps.Keys(names)) {
		name := ""
		for _, s := range g.Scenarios {
			if v, ok := s.Metrics[m]; ok {
				if s == firstWith(g, m) {
					name = model.MetricName(m, v)
				}
				t.add(append([]string{name, g.RowName(s), model.CountCell(v.N, true)}, model.MetricCells(v)[:figures]...)...)
				name = ""
			}
		}
	}
}

// firstWith returns the first scenario that has a metric.
func firstWith(g *model.Group, metric string) *results.Scenario {
	for _, s := range g.Scenarios {
		if _, ok := s.Metrics[metric]; ok {
			return s
		}
	}
	return nil
}
