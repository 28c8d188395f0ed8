// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// Curve is what of a histogram can be drawn.
type Curve struct {
	// percentiles are points of (decades of 1/(1−q), ns): 0 is the minimum, 1
	// is p90, 2 is p99. The last is the maximum.
	Percentiles []Point
	// bins count values by binOf.
	Bins map[int]int64
}

// Point is a point in the units of its axes.
type Point struct{ X, Y float64 }

const (
	binsPerDecade        = 24
	percentilesPerDecade = 12
)

// binOf numbers the interval of equal ratio that a time belongs to.
func binOf(ns int64) int {
	return int(math.Floor(math.Log10(float64(max(1, ns))) * binsPerDecade))
}

// BinStart is where a bin begins, in nanoseconds.
func BinStart(bin int) float64 { return math.Pow(10, float64(bin)/binsPerDecade) }

// Bounds on what is kept of a file: the buckets of the histograms that are being added
// up, 256 MiB of them, and the points and bins of the curves that come of it.
const (
	maxBuckets = 32 << 20
	maxPoints  = 4 << 20
)

// curvesOf adds up the trials' histograms of the phases that are drawn, of some of the
// scenarios. What run.json knows nothing of is left out before any of it is kept.
func curvesOf(dir *results.Dir, of []results.Scenario) (map[string]map[string]*Curve, error) {
	type key struct{ scenario, phase string }
	merged := map[key]*packed{}
	buckets := 0
	counted := map[key]map[int]bool{} // the trials that have values
	exact := map[key]results.Stats{}
	ids := map[string]bool{}
	for i := range of {
		s := &of[i]
		ids[s.ID] = true
		for _, phase := range results.AllPhases() {
			if s.Phases[phase].N == 0 {
				continue
			}
			k := key{s.ID, phase}
			counted[k], exact[k] = map[int]bool{}, s.Phases[phase]
			for j := range s.Trials {
				if t := &s.Trials[j]; t.Phases[phase].N > 0 {
					counted[k][t.Index] = true
				}
			}
		}
	}
	err := dir.EachHistogramOf(func(scenario string) bool { return ids[scenario] }, func(h *hdrhistogram.Histogram) error {
		scenario, trial, phase, err := results.ParseTag(h.Tag())
		if err != nil {
			return err
		}
		k := key{scenario, phase}
		if !counted[k][trial] || h.TotalCount() == 0 {
			return nil
		}
		if sum := merged[k]; sum == nil {
			merged[k] = pack(h)
		} else {
			buckets -= len(sum.counts)
			if dropped := sum.add(h); dropped != 0 {
				return fmt.Errorf("%s: %d values don't fit the other trials' range", h.Tag(), dropped)
			}
		}
		if buckets += len(merged[k].counts); buckets > maxBuckets {
			return fmt.Errorf("%s: more than %d buckets of histograms to draw", h.Tag(), maxBuckets)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, points := map[string]map[string]*Curve{}, 0
	for k, p := range merged {
		if out[k.scenario] == nil {
			out[k.scenario] = map[string]*Curve{}
		}
		c := newCurve(p, exact[k])
		if points += len(c.Bins) + len(c.Percentiles); points > maxPoints {
			return nil, fmt.Errorf("curves of more than %d points to draw", maxPoints)
		}
		out[k.scenario][k.phase] = c
	}
	return out, nil
}

// newCurve walks the buckets once. exact bounds the values where it's known.
func newCurve(p *packed, exact results.Stats) *Curve {
	c := &Curve{Bins: map[int]int64{}}
	total := p.total
	lo, hi := int64(math.MaxInt64), int64(0)
	for bar := range p.bars {
		lo, hi = min(lo, bar.From), bar.To
	}
	if exact.N == uint64(total) {
		lo, hi = exact.MinNS, exact.MaxNS
	}
	clamp := func(v int64) float64 { return float64(max(lo, min(hi, v))) }
	end := math.Log10(float64(total))
	rank := func(step int) (x float64, n int64) {
		x = float64(step) / percentilesPerDecade
		return x, int64(math.Ceil(float64(total) * (1 - math.Pow(10, -x))))
	}
	c.Percentiles = append(c.Percentiles, Point{0, float64(lo)})
	step := 1
	var seen int64
	for bar := range p.bars {
		seen += bar.Count
		c.Bins[binOf(int64(clamp(bar.From)))] += bar.Count
		for x, n := rank(step); x <= end && n <= seen; x, n = rank(step) {
			c.Percentiles = append(c.Percentiles, Point{x, clamp(bar.To)})
			step++
		}
	}
	c.Percentiles = append(c.Percentiles, Point{math.Log10(2 * float64(total)), float64(hi)})
	return c
}

// ValueAt returns the time of the first point at or after x decades; -1 after
// the last.
func (c *Curve) ValueAt(x float64) float64 {
	for _, q := range c.Percentiles {
		if q.X >= x-1e-9 {
			return q.Y
		}
	}
	return -1
}
