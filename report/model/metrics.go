// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// LookupPrefix starts the metrics that are the cost of one lookup by a path, clockPrefix
// those of one read of a clock, which are shown alike.
const (
	LookupPrefix = "lookup."
	clockPrefix  = "clock."
)

// probedSuffix ends the metrics that are the time of a kernel function from the
// probe at its entry to the one at its return. A part of both probes is in it, so
// that it can be longer than the unprobed operation that it is a part of.
const probedSuffix = ".function"

const (
	probePrefix = "probe." // of a lookup with a probe on it
	totalSuffix = ".total"
)

// IsDetail tells whether a metric is a part of another one that a scenario has, or the
// same under a probe.
func IsDetail(name string, all map[string]results.Metric) bool {
	if strings.HasSuffix(name, probedSuffix) {
		return true
	}
	if path, ok := strings.CutPrefix(name, probePrefix); ok {
		_, plain := all[LookupPrefix+path]
		return plain
	}
	i := strings.LastIndexByte(name, '.')
	if i < 0 || strings.HasSuffix(name, totalSuffix) {
		return false
	}
	_, whole := all[name[:i]]
	_, total := all[name[:i]+totalSuffix]
	return whole || total
}

// LookupCost is what a lookup by one path costs.
type LookupCost struct {
	Path   string
	Metric results.Metric
}

// LookupCosts lists the paths that were measured, the cheapest first.
func LookupCosts(s *results.Scenario) []LookupCost {
	var costs []LookupCost
	for name, m := range s.Metrics {
		path, ok := strings.CutPrefix(name, LookupPrefix)
		if !ok {
			path, ok = strings.CutPrefix(name, clockPrefix)
		}
		if ok && m.N > 0 && !strings.Contains(path, ".") {
			costs = append(costs, LookupCost{path, m})
		}
	}
	slices.SortFunc(costs, func(a, b LookupCost) int {
		return cmp.Or(cmp.Compare(a.Metric.P50, b.Metric.P50), strings.Compare(a.Path, b.Path))
	})
	return costs
}

// CostOf names what LookupCosts are the cost of.
func CostOf(s *results.Scenario) string {
	for name := range s.Metrics {
		if strings.HasPrefix(name, clockPrefix) {
			return "a read of a clock"
		}
	}
	return "a lookup"
}

// MetricName says a metric's unit where its cells don't.
func MetricName(name string, m results.Metric) string {
	name = safetext.Name(name)
	switch m.Unit {
	case "ns", "bytes", "":
		return name
	case "ns/op":
		if strings.HasSuffix(name, probedSuffix) {
			return name + " (probed" + sampleText(m) + ")"
		}
		if strings.Contains(m.How, "batches of ") {
			return name + " (batch means)" // whose p99 is not that of single operations
		}
		return name + " (per op)"
	}
	return name + " (" + safetext.Name(m.Unit) + sampleText(m) + ")"
}

// sampleText says of how many calls the timed ones were chosen.
func sampleText(m results.Metric) string {
	if m.Sample <= 1 {
		return ""
	}
	return fmt.Sprintf(", 1 in %d of %d", m.Sample, m.Seen)
}

// MostMetricValues is the largest number of values that one of the metrics has.
func MostMetricValues(scenarios ...*results.Scenario) (most uint64) {
	for _, s := range scenarios {
		for _, m := range s.Metrics {
			most = max(most, m.N)
		}
	}
	return most
}

// MetricCells are a metric's p50, p90, p99 and maximum, or its only value.
func MetricCells(m results.Metric) []string {
	switch m.N {
	case 0:
		return []string{None, None, None, None}
	case 1:
		return []string{MetricCell(m, m.Max), None, None, None}
	}
	out := make([]string, 0, 4)
	for _, v := range []float64{m.P50, m.P90, m.P99, m.Max} {
		out = append(out, MetricCell(m, v))
	}
	return out
}

// MetricCell is one of its values.
func MetricCell(m results.Metric, v float64) string {
	switch m.Unit {
	case "ns", "ns/op":
		return FormatDuration(v)
	case "bytes":
		return FormatBytes(v)
	}
	return Significant(v, false)
}

// Measurement is how some metrics were measured.
type Measurement struct{ Names, Method string }

// MeasurementsOf lists how the metrics were measured, those alike together; where the
// kernels differ, the last one's words stand.
func MeasurementsOf(scenarios []*results.Scenario) []Measurement {
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
		names[how[name]] = append(names[how[name]], safetext.Name(name))
	}
	said := slices.SortedFunc(maps.Keys(names), func(a, b string) int { return strings.Compare(names[a][0], names[b][0]) })
	out := make([]Measurement, 0, len(said))
	for _, h := range said {
		out = append(out, Measurement{strings.Join(names[h], ", "), safetext.Text(h)})
	}
	return out
}
