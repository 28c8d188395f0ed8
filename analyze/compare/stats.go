// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"errors"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
)

// Methods by which two sets of trials are compared.
const (
	// MethodMannWhitney ranks the trials of both sides.
	MethodMannWhitney = "mann-whitney"
	// MethodSpread holds the difference of the centres against the spread
	// that was measured between trials: for a deterministic clock.
	MethodSpread = "spread"
	// MethodSignedRank ranks the differences within turns.
	MethodSignedRank = "signed-rank"
)

const confidence = 0.95

// exactFloor is the relative difference that a deterministic clock doesn't
// resolve, be the spread measured as nothing: half of what it is known to
// repeat to. Figures that come in steps can be two of them apart.
const exactFloor = 0.0005

// medianEfficiency is how much wider a median scatters than a mean of as many
// normal values: sqrt(π/2).
var medianEfficiency = math.Sqrt(math.Pi / 2)

// Center is the median of a figure over its trials with its confidence
// interval. Lo and Hi are nil where there are too few trials for one.
type Center struct {
	N      int      `json:"n"`
	Median float64  `json:"median"`
	Lo     *float64 `json:"lo"`
	Hi     *float64 `json:"hi"`
}

// center is the figure over its trials. Only a signed one may be negative.
func (f *Figure) center(deterministic bool) Center {
	values := f.Values
	c := Center{N: len(values)}
	if c.N == 0 {
		return c
	}
	// NewSample sorts what it is given.
	s := benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
	sum := benchmath.AssumeNothing.Summary(s, confidence)
	c.Median = sum.Center
	if deterministic {
		if c.N < 2 {
			return c
		}
		sum.Lo, sum.Hi = interval(c.Median, values)
		if !f.signed {
			sum.Lo = max(0, sum.Lo)
		}
	}
	if Finite(sum.Lo) && Finite(sum.Hi) {
		c.Lo, c.Hi = &sum.Lo, &sum.Hi
	}
	return c
}

// interval is the median's confidence interval by the values' own spread.
func interval(center float64, values []float64) (lo, hi float64) {
	n := len(values)
	half := tQuantile(1-confidence, n-1) * medianEfficiency * math.Sqrt(squares(values)/float64(n-1)/float64(n))
	return center - half, center + half
}

// squares sums the squared deviations from the mean.
func squares(values []float64) float64 {
	var mean, sum float64
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return sum
}

// tTail is the two-sided tail probability of Student's t.
func tTail(t float64, df int) float64 {
	return min(1, max(0, 2*stats.TDist{V: float64(df)}.CDF(-math.Abs(t))))
}

// tQuantile is the t whose two-sided tail probability is p. A table asks for
// the same few over and over.
func tQuantile(p float64, df int) float64 {
	type key struct {
		p  float64
		DF int // degrees of freedom
	}
	if t, ok := tQuantiles.Load(key{p, df}); ok {
		return t.(float64)
	}
	t := solveT(p, df)
	tQuantiles.Store(key{p, df}, t)
	return t
}

var tQuantiles sync.Map

func solveT(p float64, df int) float64 {
	lo, hi := 0.0, 1.0
	for tTail(hi, df) > p && hi < 1e9 {
		hi *= 2
	}
	for range 100 {
		if mid := (lo + hi) / 2; tTail(mid, df) > p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// Test is what one comparison of two sets of trials found, before anything
// is decided.
type Test struct {
	Method string
	// P is the probability of such a difference between equals; NaN when
	// there are too few trials to say.
	P float64
	// Spread is the relative standard deviation between trials.
	Spread float64
	// Floor is the absolute difference that can't be told from none.
	Floor float64
	// SE is the standard error of the difference of the medians.
	SE float64
	DF int // degrees of freedom
}

// compareTrials tests two non-empty sets of trials.
func compareTrials(a, b *Figure, deterministic bool) (Test, error) {
	n1, n2 := len(a.Values), len(b.Values)
	df := n1 + n2 - 2
	t := Test{Method: MethodMannWhitney, P: math.NaN(), DF: df}
	center := a.center(false).Median
	if df > 0 {
		pooled := math.Sqrt((squares(a.Values) + squares(b.Values)) / float64(df))
		t.SE = medianEfficiency * pooled * math.Sqrt(1/float64(n1)+1/float64(n2))
		if center != 0 {
			t.Spread = pooled / math.Abs(center)
		}
	}
	if !deterministic {
		return t, t.rank(a.Values, b.Values)
	}
	t.Method = MethodSpread
	t.Floor = max(exactFloor, 2*a.Coarse, 2*b.Coarse) * math.Abs(center)
	if df == 0 {
		return t, nil
	}
	diff := math.Abs(b.center(false).Median - center)
	switch {
	case diff <= t.Floor:
		t.P = 1
	case t.SE == 0:
		t.P = 0
	default:
		t.P = tTail(diff/t.SE, df)
	}
	return t, nil
}

func (t *Test) rank(a, b []float64) error {
	r, err := stats.MannWhitneyUTest(a, b, stats.LocationDiffers)
	switch {
	case errors.Is(err, stats.ErrSamplesEqual):
		t.P = 1
	case err != nil:
		return err
	default:
		t.P = min(1, r.P)
	}
	return nil
}

// Visible is the smallest difference that would have been significant at
// level alpha, as far as the spread tells.
func (t *Test) Visible(alpha float64) float64 {
	if t.DF < 1 {
		return math.Inf(1)
	}
	return max(t.Floor, t.SE*tQuantile(alpha, t.DF))
}

// smallestP is the smallest p that n1 against n2 trials can give.
func smallestP(method string, n1, n2 int) float64 {
	if n1 == 0 || n2 == 0 {
		return 1
	}
	if method == MethodSpread {
		if n1+n2 < 3 {
			return 1
		}
		return 0
	}
	// Two of the C(n1+n2, n1) orders are fully apart.
	p := 2.0
	for i := 1; i <= n1; i++ {
		p *= float64(i) / float64(n2+i)
	}
	return min(1, p)
}

// TrialsNeeded is how many trials on each side can show a difference at level
// alpha in a table of that many tests.
func TrialsNeeded(method string, alpha float64, tests int) int {
	n := 2
	for smallestP(method, n, n) > alpha/float64(max(1, tests)) && n < 1000 {
		n++
	}
	return n
}

// Holm adjusts the p of a family of tests so that the chance of even one
// false finding among them stays under the level that each adjusted p is then
// held against (Holm 1979). The order is kept; NaN stays and doesn't count.
func Holm(ps []float64) []float64 {
	order := make([]int, 0, len(ps))
	out := slices.Clone(ps)
	for i, p := range ps {
		if !math.IsNaN(p) {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return ps[order[a]] < ps[order[b]] })
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, ps[i]*float64(len(order)-rank)))
		out[i] = least
	}
	return out
}
