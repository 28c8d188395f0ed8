// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestOneValueIsOneFigure: a value has no quantiles.
func TestOneValueIsOneFigure(t *testing.T) {
	one := results.Stats{N: 1, P50NS: 2000, P90NS: 2000, P99NS: 2000, MaxNS: 2000}
	metric := results.Metric{N: 1, Unit: "ns", P50: 2000, P90: 2000, P99: 2000, Max: 2000}
	want := []string{"2.00 µs", None, None, None}
	for _, got := range [][]string{DurationCells(one, true), MetricCells(metric)} {
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	two := results.Stats{N: 2, P50NS: 1000, P90NS: 2000, P99NS: 2000, MaxNS: 2000}
	if got := DurationCells(two, true); slices.Contains(got, None) {
		t.Errorf("of two values: %q", got)
	}
	s := &results.Scenario{Phases: map[string]results.Stats{results.PhaseLimbo: one}, Metrics: map[string]results.Metric{"create": metric}}
	for most, want := range map[uint64]int{MostValues(results.AllPhases(), s): 1, MostMetricValues(s): 1, 0: 4, 2: 4} {
		if got := Figures(most); len(got) != want {
			t.Errorf("columns of up to %d values: %q", most, got)
		}
	}
	sampled := results.Metric{Unit: "ns/op", N: 6262, Sample: 16, Seen: 100_110}
	if got, want := MetricName("lookup.helper.function", sampled), "lookup.helper.function (probed, 1 in 16 of 100110)"; got != want {
		t.Errorf("MetricName() = %q, want %q", got, want)
	}
	sampled.Unit = "instructions/op"
	if got, want := MetricName("lookup.helper.function", sampled), "lookup.helper.function (instructions/op, 1 in 16 of 100110)"; got != want {
		t.Errorf("MetricName() = %q, want %q", got, want)
	}
	if got, want := MetricName("lookup.helper.function", results.Metric{Unit: "ns/op"}), "lookup.helper.function (probed)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
