// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"context"

	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/workloads"
)

// Series is what batches cost, each for one operation, in nanoseconds.
type Series struct {
	values []float64
	Ops    uint64 // done in all batches
	ends   []int  // of its parts, in values
}

// extend does batches until the series has that many operations, or until ctx
// ends. They are another part of it.
func (s *Series) extend(ctx context.Context, until uint64, batch TimedBatch, onBatch func(n int)) error {
	for s.Ops < until && ctx.Err() == nil {
		ns, n, err := batch()
		if err != nil {
			return err
		}
		s.values = append(s.values, float64(ns)/float64(n))
		s.Ops += uint64(n)
		onBatch(n)
	}
	s.ends = append(s.ends, len(s.values))
	return nil
}

// part is one of its parts; empty where there was no operation left to do.
func (s *Series) part(n int) []float64 {
	if n >= len(s.ends) {
		return nil
	}
	from := 0
	if n > 0 {
		from = s.ends[n-1]
	}
	return s.values[from:s.ends[n]]
}

// probeCost is the metric of the time that a probe adds to an operation. Each part
// with the probe is compared with one without it just before or after, so that a
// machine that slows down for a while slows both.
func probeCost(with, without Series, function string) workloads.Metric {
	m := workloads.Metric{Unit: "ns/op", Difference: true, How: "with the probe on " + function +
		", less the median of those without just before or after; nothing above is less this"}
	for n := range with.ends {
		base := without.part(n)
		if len(base) == 0 { // one batch is as much as several parts
			base = without.values
		}
		m.Values = append(m.Values, minus(with.part(n), median.Of(base))...)
	}
	return m
}

// minus takes the base off each value.
func minus(values []float64, base float64) []float64 {
	out := make([]float64, len(values))
	for j, v := range values {
		out[j] = v - base
	}
	return out
}
