// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// MetricOf sums single values up: a quantile is the smallest value that at
// least that share of them doesn't exceed. Without values N is 0 and the rest
// means nothing.
func MetricOf(values []float64, unit, how string) results.Metric {
	m := results.Metric{Unit: unit, How: how, N: uint64(len(values))}
	if len(values) == 0 {
		return m
	}
	s := slices.Sorted(slices.Values(values))
	quantile := func(q float64) float64 { return s[max(0, int(math.Ceil(q*float64(len(s))))-1)] }
	m.P50, m.P90, m.P99 = quantile(.5), quantile(.9), quantile(.99)
	m.Min, m.Max = s[0], s[len(s)-1]
	for i, v := range s {
		m.Mean += (v - m.Mean) / float64(i+1)
	}
	return m
}

// MetricOfHistogram sums a histogram of nanoseconds per operation up, with the
// exact values beside it. Its quantiles are as coarse as the buckets.
func MetricOfHistogram(h *hdrhistogram.Histogram, e Exact, how string) results.Metric {
	s := StatsOf(h, e)
	return results.Metric{
		N: s.N, Unit: "ns/op", How: how, P50: float64(s.P50NS), P90: float64(s.P90NS), P99: float64(s.P99NS),
		Min: float64(s.MinNS), Max: float64(s.MaxNS), Mean: s.MeanNS,
		BucketWidth: BucketWidth(int(h.SignificantFigures())),
	}
}

// BucketWidth is the widest relative step of a histogram with so many
// significant digits. Each doubling has half as many buckets as there are
// single units at the start, the next power of two from 2 · 10^digits.
func BucketWidth(digits int) float64 {
	return 2 / math.Exp2(math.Ceil(math.Log2(2*math.Pow10(digits))))
}

// InUnitsOf renames the units of times that were measured on a clock: where it
// counts instructions, a nanosecond is one. It does nothing for a clock that
// isn't known.
func InUnitsOf(clock string, metrics map[string]results.Metric) {
	c, ok := results.ClockNamed(clock)
	if !ok {
		return
	}
	for name, m := range metrics {
		switch m.Unit {
		case "ns/op":
			m.Unit = c.Unit + "/op"
		case "ns":
			m.Unit = c.Unit
		default:
			continue
		}
		metrics[name] = m
	}
}
