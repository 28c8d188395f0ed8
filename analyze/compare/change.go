// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/aclements/go-moremath/stats"

	"github.com/mapprof/mapprof/internal/median"
)

// exactPairs is up to how many pairs of trials (one of each side) the
// distribution of the rank sum is computed exactly; beyond, by its normal
// approximation.
const exactPairs = 30 * 30

// rounding is what the sums of a distribution are off by.
const rounding = 1e-9

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
// every two differences within a turn (Walsh averages).
type Change struct {
	base, other []float64
	differences []float64 // sorted
	paired      bool
	exact       bool // the clock is deterministic
	floor, step float64
}

// NewChange returns the change from base to other, neither of which may be
// empty.
func NewChange(base, other *Figure, deterministic bool) *Change {
	c := &Change{base: base.Values, other: other.Values, exact: deterministic}
	for _, a := range base.Values {
		for _, b := range other.Values {
			c.differences = append(c.differences, b-a)
		}
	}
	c.finish(base, other, deterministic)
	return c
}

// NewPairedChange is NewChange of two sides whose trials of one index ran in one
// turn, on a wall clock: what disturbed the machine then disturbed both. Their
// trials must have the same indexes.
func NewPairedChange(base, other *Figure) *Change {
	c := &Change{base: base.Values, other: other.Values, paired: true}
	for i := range base.Values {
		for j := range i + 1 {
			c.differences = append(c.differences, (other.Values[i]-base.Values[i]+other.Values[j]-base.Values[j])/2)
		}
	}
	c.finish(base, other, false)
	return c
}

func (c *Change) finish(base, other *Figure, deterministic bool) {
	slices.Sort(c.differences)
	center := math.Abs(median.Of(base.Values))
	if deterministic {
		c.floor = exactFloor * center
	}
	c.step = max(c.floor, max(base.Coarse, other.Coarse)*center)
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
	out := Interval{Estimate: median.Of(c.differences), Confidence: confidence}
	n := len(c.differences)
	if k := boundRank(len(c.base), len(c.other), c.paired, 1-confidence); k > 0 {
		out.Lo, out.Hi = &c.differences[k-1], &c.differences[n-k]
	}
	return out
}

// boundRank is the number of the difference, in order from 1, that is the bound
// at the level alpha; 0: there is none. A gate asks for the same over and over.
func boundRank(n1, n2 int, paired bool, alpha float64) int {
	type key struct {
		n1, n2 int
		paired bool
		alpha  float64
	}
	if k, ok := boundRanks.Load(key{n1, n2, paired, alpha}); ok {
		return k.(int)
	}
	k := sort.Search(n1*n2, func(k int) bool { return tail(n1, n2, paired, k) > alpha+rounding })
	boundRanks.Store(key{n1, n2, paired, alpha}, k)
	return k
}

var boundRanks sync.Map

// tail is the chance that, of equals, at most k of all differences lie on one
// side of none.
func tail(n1, n2 int, paired bool, k int) float64 {
	if paired {
		return signedRankTail(n1, k)
	}
	return rankTail(n1, n2, k)
}

// signedRankTail is the chance that the positive ranks of n pairs add up to k at
// most (Wilcoxon 1945): exact for up to exactTurns, by its normal approximation
// beyond.
func signedRankTail(n, k int) float64 {
	sum := n * (n + 1) / 2
	if n > exactTurns {
		sd := math.Sqrt(float64(sum*(2*n+1)) / 12)
		return stats.StdNormal.CDF((float64(k) + 0.5 - float64(sum)/2) / sd)
	}
	// ways[s] is the share of all signs with which the ranks so far add up to s.
	ways := make([]float64, sum+1)
	ways[0] = 1
	for rank := 1; rank <= n; rank++ {
		for s := sum; s >= 0; s-- {
			ways[s] /= 2
			if s >= rank {
				ways[s] += ways[s-rank] / 2
			}
		}
	}
	p := 0.0
	for _, w := range ways[:min(k, sum)+1] {
		p += w
	}
	return min(1, p)
}

const exactTurns = 50

func rankTail(n1, n2, k int) float64 {
	if n1*n2 <= exactPairs {
		return min(1, stats.UDist{N1: n1, N2: n2}.CDF(float64(k)))
	}
	pairs := float64(n1 * n2)
	sd := math.Sqrt(pairs * float64(n1+n2+1) / 12)
	return stats.StdNormal.CDF((float64(k) + 0.5 - pairs/2) / sd)
}

// PAbove is how probable such trials were if the change were no larger than
// limit: on a wall clock by ranks, where a difference that equals the limit
// speaks against it. On a deterministic one three trials against three have
// ranks for 0.05 at the least, so it is by Student's t from the spread that was
// measured, which is never taken for less than what the clock is known to repeat to.
func (c *Change) PAbove(limit float64) float64 {
	ranks := tail(len(c.base), len(c.other), c.paired, sort.Search(len(c.differences), func(i int) bool { return c.differences[i] > limit }))
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
	out := &Change{base: c.other, other: c.base, paired: c.paired, exact: c.exact, floor: c.floor, step: c.step}
	for _, d := range slices.Backward(c.differences) {
		out.differences = append(out.differences, -d)
	}
	return out
}

// Paired says that it is of turns.
func (c *Change) Paired() bool { return c.paired }

func (c *Change) df() int { return len(c.base) + len(c.other) - 2 }

// deviation is the standard deviation between trials of one side, and on a
// deterministic clock what it doesn't resolve as well.
func (c *Change) deviation() float64 {
	if c.df() < 1 {
		return math.NaN()
	}
	if c.paired { // the half of what differences scatter by
		turns := make([]float64, len(c.base))
		for i := range turns {
			turns[i] = c.other[i] - c.base[i]
		}
		return stats.StdDev(turns) / math.Sqrt2
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
	gap := math.Abs(limit - median.Of(c.differences))
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
	for tail(n, n, c.paired, 0) > alpha+rounding {
		n++
	}
	return n
}

// exactRankAlpha is what ranks can show on a deterministic clock's few trials;
// beyond is Student's t.
const exactRankAlpha = 0.05
