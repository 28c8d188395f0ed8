// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"

	"github.com/mapprof/mapprof/internal/median"
)

// power is the chance that the trials that TrialsToSettle asks for settle it.
const power = 0.8

// Interval is the estimate of a change, in the figure's unit, with its bounds.
// A bound is nil where there are too few trials for one.
type Interval struct {
	Estimate float64  `json:"estimate"` // Hodges–Lehmann: the median of all differences
	Lo       *float64 `json:"lo"`
	Hi       *float64 `json:"hi"`
	// Confidence is each bound's own: the chance that the change lies on its
	// side of it is at least that.
	Confidence float64 `json:"confidence"`
}

// Change compares the trials of two sides: every difference between one of the
// second and one of the first. Where they took turns it is of pairs: the means of
// every two differences within a turn (Walsh averages). They are counted, not
// kept: a run may have thousands of trials.
type Change struct {
	base, other []float64 // sorted
	turns       []float64 // differences within turns, sorted; nil: not of pairs
	exact       bool      // the clock is deterministic
	floor, step float64
}

// NewChange returns the change from base to other, neither of which may be
// empty.
func NewChange(base, other *Figure, deterministic bool) *Change {
	c := &Change{base: slices.Sorted(slices.Values(base.Values)), other: slices.Sorted(slices.Values(other.Values)), exact: deterministic}
	center := math.Abs(median.Of(base.Values))
	if deterministic {
		c.floor = exactFloor * center
	}
	c.step = max(c.floor, max(base.Coarse, other.Coarse)*center)
	return c
}

// NewPairedChange is NewChange of two sides whose trials of one index ran in one
// turn, on a wall clock: what disturbed the machine then disturbed both. Their
// trials must have the same indexes.
func NewPairedChange(base, other *Figure) *Change {
	c := NewChange(base, other, false)
	for i := range base.Values {
		c.turns = append(c.turns, other.Values[i]-base.Values[i])
	}
	slices.Sort(c.turns)
	return c
}

// Step is the difference, in the figure's unit, that its values can't tell from
// none: the width of a histogram's buckets, or what a deterministic clock is known
// to repeat to.
func (c *Change) Step() float64 { return c.step }

// Interval returns the Hodges–Lehmann estimate, and the bounds that its exact
// distribution-free confidence interval has at that one-sided confidence (Hollander and
// Wolfe, Nonparametric Statistical Methods, 4.3). Where values tie the bounds
// are too wide rather than too narrow.
func (c *Change) Interval(confidence float64) Interval {
	n := c.differences()
	out := Interval{Estimate: (c.difference((n+1)/2) + c.difference(n/2+1)) / 2, Confidence: confidence}
	if k := boundRank(len(c.base), len(c.other), c.Paired(), 1-confidence); k > 0 {
		lo, hi := c.difference(k), c.difference(n+1-k)
		out.Lo, out.Hi = &lo, &hi
	}
	return out
}

// PAbove is how probable such trials were if the change were no larger than
// limit: on a wall clock by ranks, where a difference that equals the limit
// speaks against it. On a deterministic one three trials against three have
// ranks for 0.05 at the least, so it is by Student's t from the spread that was
// measured, which is never taken for less than what the clock is known to repeat to.
func (c *Change) PAbove(limit float64) float64 {
	ranks := tail(len(c.base), len(c.other), c.Paired(), c.upTo(limit))
	se := c.standardError()
	if !c.exact || se == 0 || c.df() < 1 {
		return ranks
	}
	excess := stats.Mean(c.other) - stats.Mean(c.base) - limit
	return stats.TDist{V: float64(c.df())}.CDF(-excess / se)
}

// PBelow is PAbove of the change with its sign turned.
func (c *Change) PBelow(limit float64) float64 { return c.turned().PAbove(-limit) }

func (c *Change) turned() *Change {
	out := &Change{base: c.other, other: c.base, exact: c.exact, floor: c.floor, step: c.step}
	for _, d := range slices.Backward(c.turns) {
		out.turns = append(out.turns, -d)
	}
	return out
}

// Paired says that it is of turns.
func (c *Change) Paired() bool { return c.turns != nil }

func (c *Change) df() int { return len(c.base) + len(c.other) - 2 }

// deviation is the standard deviation between trials of one side, and on a
// deterministic clock what it doesn't resolve as well.
func (c *Change) deviation() float64 {
	if c.df() < 1 {
		return math.NaN()
	}
	if c.Paired() { // the half of what differences scatter by
		return stats.StdDev(c.turns) / math.Sqrt2
	}
	v := (squares(c.base) + squares(c.other)) / float64(c.df())
	return math.Sqrt(v + c.floor*c.floor/12)
}

func (c *Change) standardError() float64 {
	return c.deviation() * math.Sqrt(1/float64(len(c.base))+1/float64(len(c.other)))
}

// TrialsToSettle is about how many trials on each side would show a change like
// this one to be below the limit, or above it, at the level alpha, four times
// of five. 0: more than 10000.
func (c *Change) TrialsToSettle(limit, alpha float64) int {
	const most = 10000
	gap := math.Abs(limit - c.Interval(1-alpha).Estimate)
	z := stats.StdNormal.InvCDF(1-alpha) + stats.StdNormal.InvCDF(power)
	want := 2 * math.Pow(z*c.deviation()/gap, 2)
	if !(want < most) {
		return 0
	}
	return max(c.LeastTrials(alpha), len(c.base)+1, int(math.Ceil(want)))
}

// LeastTrials is how many trials on each side can show anything at the level
// alpha.
func (c *Change) LeastTrials(alpha float64) int {
	if c.exact {
		alpha = max(alpha, exactRankAlpha)
	}
	n := 2
	for tail(n, n, c.Paired(), 0) > alpha+rounding {
		n++
	}
	return n
}

// exactRankAlpha is what ranks can show on a deterministic clock's few trials;
// beyond is Student's t.
const exactRankAlpha = 0.05
