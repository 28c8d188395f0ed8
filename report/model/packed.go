// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// packed is a histogram without the empty buckets below its first value and above its
// last: a whole one takes a quarter of a megabyte, however few values it has.
type packed struct {
	of    hdrhistogram.Snapshot // without counts
	from  int                   // the bucket of counts[0]
	total int64
	// counts are of buckets in order.
	counts []int64
}

func pack(h *hdrhistogram.Histogram) *packed {
	s := h.Export()
	first, end := valuesOf(s.Counts)
	p := &packed{of: *s, from: first, total: h.TotalCount(), counts: append([]int64(nil), s.Counts[first:end]...)}
	p.of.Counts = nil
	return p
}

// valuesOf is the part of the buckets outside of which there are no values.
func valuesOf(counts []int64) (first, end int) {
	end = len(counts)
	for first < end && counts[first] == 0 {
		first++
	}
	for end > first && counts[end-1] == 0 {
		end--
	}
	return first, end
}

// bars are the buckets that have values, in order.
func (p *packed) bars(yield func(hdrhistogram.Bar) bool) {
	bounds := boundsOf(geometry{p.of.LowestTrackableValue, p.of.HighestTrackableValue, p.of.SignificantFigures})
	for i, n := range p.counts {
		if n == 0 {
			continue
		}
		bar := bounds[p.from+i]
		if bar.Count = n; !yield(bar) {
			return
		}
	}
}

// geometry is a histogram's range and digits.
type geometry struct{ lowest, highest, digits int64 }

// knownBounds are those of the few geometries that package results reads.
var knownBounds sync.Map

// boundsOf are the bounds of a geometry's buckets, all of which hdrhistogram computes
// anew for each histogram: a megabyte.
func boundsOf(g geometry) []hdrhistogram.Bar {
	if known, ok := knownBounds.Load(g); ok {
		return known.([]hdrhistogram.Bar)
	}
	s := hdrhistogram.New(g.lowest, g.highest, int(g.digits)).Export()
	s.Counts[len(s.Counts)-1] = 1 // it goes no further than the last value
	bounds := hdrhistogram.Import(s).Distribution()
	knownBounds.Store(g, bounds)
	return bounds
}

func (p *packed) unpack() *hdrhistogram.Histogram {
	s := p.of
	s.Counts = make([]int64, p.from+len(p.counts))
	copy(s.Counts[p.from:], p.counts)
	return hdrhistogram.Import(&s)
}

// add adds another's values, and returns how many of them did not fit.
func (p *packed) add(h *hdrhistogram.Histogram) (dropped int64) {
	s := h.Export()
	if s.LowestTrackableValue != p.of.LowestTrackableValue || s.HighestTrackableValue != p.of.HighestTrackableValue ||
		s.SignificantFigures != p.of.SignificantFigures || h.TotalCount() > math.MaxInt64-p.total {
		whole := p.unpack()
		dropped = whole.Merge(h)
		*p = *pack(whole)
		return dropped
	}
	first, end := valuesOf(s.Counts)
	if len(p.counts) > 0 {
		first, end = min(first, p.from), max(end, p.from+len(p.counts))
	}
	sum := append([]int64(nil), s.Counts[first:end]...)
	for i, n := range p.counts {
		sum[p.from-first+i] += n
	}
	p.from, p.counts = first, sum
	p.total += h.TotalCount()
	return 0
}
