// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// Exact is what is kept exactly beside a histogram's buckets.
type Exact struct {
	N                   uint64
	SumNS, MinNS, MaxNS int64
}

// ExactOf takes the exact part of a Stats.
func ExactOf(s results.Stats) Exact {
	return Exact{N: s.N, SumNS: s.SumNS, MinNS: s.MinNS, MaxNS: s.MaxNS}
}

// Add adds the values that o stands for.
func (e *Exact) Add(o Exact) {
	switch {
	case o.N == 0:
	case e.N == 0:
		*e = o
	default:
		e.N += o.N
		e.SumNS += o.SumNS
		e.MinNS, e.MaxNS = min(e.MinNS, o.MinNS), max(e.MaxNS, o.MaxNS)
	}
}

// StatsOf returns the figures of a histogram and the exact values beside it,
// which must be of the same values. A quantile never lies outside of the exact
// minimum and maximum. Without values it is the zero Stats.
func StatsOf(h *hdrhistogram.Histogram, e Exact) results.Stats {
	if e.N == 0 {
		return results.Stats{}
	}
	q := h.ValueAtPercentilesSlice([]float64{50, 90, 99})
	for i := range q {
		q[i] = max(e.MinNS, min(e.MaxNS, q[i]))
	}
	return results.Stats{
		N: e.N, P50NS: q[0], P90NS: q[1], P99NS: q[2],
		MinNS: e.MinNS, MaxNS: e.MaxNS, SumNS: e.SumNS,
		MeanNS: float64(e.SumNS) / float64(e.N),
	}
}

// Distribution is a histogram with the exact values beside it.
type Distribution struct {
	Histogram *hdrhistogram.Histogram
	Exact     Exact
}

// NewDistribution returns an empty one of the geometry that histograms.hlog
// has.
func NewDistribution() *Distribution {
	return &Distribution{Histogram: results.NewHistogram()}
}

// Record counts one value. One above the histogram's range goes to its highest
// bucket and is exact in count, sum and maximum; a negative one is an error.
func (d *Distribution) Record(ns int64) error {
	if ns < 0 || d.Exact.SumNS > math.MaxInt64-ns {
		return fmt.Errorf("record %d ns: out of range", ns)
	}
	if err := d.Histogram.RecordValue(min(ns, d.Histogram.HighestTrackableValue())); err != nil {
		return err
	}
	d.Exact.Add(Exact{N: 1, SumNS: ns, MinNS: ns, MaxNS: ns})
	return nil
}

// Stats returns the distribution's figures.
func (d *Distribution) Stats() results.Stats { return StatsOf(d.Histogram, d.Exact) }

// MoveTo adds all that there is to another one, and begins anew.
func (d *Distribution) MoveTo(to *Distribution) {
	to.Histogram.Merge(d.Histogram) // of one geometry: all fits
	to.Exact.Add(d.Exact)
	d.Histogram.Reset()
	d.Exact = Exact{}
}

// Tally is the distributions of deaths, which it doesn't keep. One goroutine.
type Tally struct {
	phases []results.Phase
	dists  []*Distribution // by the phase's position in the table; nil: no death has it
}

// NewTally returns an empty one.
func NewTally() *Tally {
	phases := results.Phases()
	return &Tally{phases: phases, dists: make([]*Distribution, len(phases))}
}

// Add counts a death.
func (t *Tally) Add(d *results.Death) error {
	for p, ns := range d.EachPhase {
		if t.dists[p] == nil {
			t.dists[p] = NewDistribution()
		}
		if err := t.dists[p].Record(ns); err != nil {
			return fmt.Errorf("phase %s of map %d: %w", t.phases[p].Name, d.MapID, err)
		}
	}
	return nil
}

// Distributions returns the distribution of every phase that at least one of
// the deaths has, limbo included. They are the tally's own.
func (t *Tally) Distributions() map[string]*Distribution {
	out := map[string]*Distribution{}
	for p, d := range t.dists {
		if d != nil {
			out[t.phases[p].Name] = d
		}
	}
	return out
}

// DistributionsOf returns the distributions of a Tally of these deaths.
func DistributionsOf(deaths []results.Death) (map[string]*Distribution, error) {
	t := NewTally()
	for i := range deaths {
		if err := t.Add(&deaths[i]); err != nil {
			return nil, err
		}
	}
	return t.Distributions(), nil
}

// Share is the fraction of limbo's total time that a phase took. There is none
// without a phase, or when limbo's total is 0.
func Share(phases map[string]results.Stats, phase string) (share float64, ok bool) {
	p, whole := phases[phase], phases[results.PhaseLimbo]
	if p.N == 0 || whole.SumNS <= 0 {
		return 0, false
	}
	return float64(p.SumNS) / float64(whole.SumNS), true
}
