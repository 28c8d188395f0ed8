// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// TestPacked: histograms are added up as hdrhistogram does it, whatever their ranges.
func TestPacked(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(h *hdrhistogram.Histogram) *hdrhistogram.Histogram {
		most := int64(1) << r.IntN(30)
		for range r.IntN(20) {
			_ = h.RecordValues(r.Int64N(most), 1+r.Int64N(5)) // beyond its range it is not counted
		}
		return h
	}
	for range 300 {
		of := []func() *hdrhistogram.Histogram{results.NewHistogram, func() *hdrhistogram.Histogram { return hdrhistogram.New(1, 1e6, 2) }}
		whole := random(of[r.IntN(2)]())
		p := pack(whole)
		for range 3 {
			more := random(of[r.IntN(2)]())
			if got, want := p.add(more), whole.Merge(more); got != want {
				t.Fatalf("%d values did not fit, want %d", got, want)
			}
			if got := p.unpack(); !got.Equals(whole) || got.TotalCount() != p.total {
				t.Fatalf("%v, want %v", got.Distribution(), whole.Distribution())
			}
			want := slices.DeleteFunc(whole.Distribution(), func(b hdrhistogram.Bar) bool { return b.Count == 0 })
			if got := slices.Collect(p.bars); !slices.Equal(got, want) {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	}
	full := results.NewHistogram()
	if err := full.RecordValues(5, math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	one := results.NewHistogram()
	if err := one.RecordValue(7); err != nil {
		t.Fatal(err)
	}
	if p := pack(full); p.add(one) != 1 || p.total != math.MaxInt64 || len(p.counts) != 1 {
		t.Errorf("more values than there are numbers: %d in %d buckets", p.total, len(p.counts))
	}
}
