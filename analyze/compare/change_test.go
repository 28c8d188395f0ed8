// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

func change(deterministic bool, base, other []float64) *Change {
	return NewChange(&Figure{Values: base}, &Figure{Values: other}, deterministic)
}

// TestInterval: R's wilcox.test(y, x, conf.int=TRUE) gives the first one's
// estimate and bounds.
func TestInterval(t *testing.T) {
	x := []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	y := []float64{1.15, 0.88, 0.90, 0.74, 1.21}
	got := change(false, x, y).Interval(0.975)
	if math.Abs(got.Estimate+0.305) > 1e-9 || got.Lo == nil || math.Abs(*got.Lo+0.76) > 1e-9 || math.Abs(*got.Hi-0.15) > 1e-9 {
		t.Errorf("%v from %v to %v", got.Estimate, *got.Lo, *got.Hi)
	}
	three := []float64{1, 2, 4}
	for _, c := range []struct {
		base, other []float64
		confidence  float64
		lo, hi      float64 // NaN: there is none
	}{
		{three, []float64{11, 12, 14}, 0.95, 7, 13}, // all nine, at 1/20
		{three, []float64{11, 12, 14}, 0.96, math.NaN(), math.NaN()},
		{three[:2], []float64{11, 12}, 0.95, math.NaN(), math.NaN()},
		{[]float64{5, 5, 5}, []float64{5, 5, 5}, 0.95, 0, 0},
		{[]float64{5, 5, 5}, []float64{7, 7, 7}, 0.95, 2, 2},
	} {
		got := change(true, c.base, c.other).Interval(c.confidence)
		if lo, hi := value(got.Lo), value(got.Hi); !same(lo, c.lo) || !same(hi, c.hi) {
			t.Errorf("%v against %v at %v: from %v to %v, want %v to %v", c.other, c.base, c.confidence, lo, hi, c.lo, c.hi)
		}
	}
}

func value(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// TestPAboveIsTheInterval: a change is above a limit at some level just where
// the bound of that level is, with ties or without.
func TestPAboveIsTheInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		n1, n2, steps := 3+r.IntN(8), 3+r.IntN(60), 1+r.IntN(30)
		base, other := make([]float64, n1), make([]float64, n2)
		for i := range base {
			base[i] = float64(r.IntN(steps))
		}
		for i := range other {
			other[i] = float64(r.IntN(steps) + r.IntN(3))
		}
		c := change(false, base, other)
		alpha := []float64{0.1, 0.05, 0.01}[r.IntN(3)]
		interval := c.Interval(1 - alpha)
		for limit := -3.5; limit < 4; limit += 0.5 {
			if above, want := c.PAbove(limit) <= alpha+rounding, interval.Lo != nil && *interval.Lo > limit; above != want {
				t.Fatalf("%v %v: p %v, bound %v, limit %v", base, other, c.PAbove(limit), value(interval.Lo), limit)
			}
			if below, want := c.PBelow(limit) <= alpha+rounding, interval.Hi != nil && *interval.Hi < limit; below != want {
				t.Fatalf("%v %v: p %v, bound %v, limit %v", base, other, c.PBelow(limit), value(interval.Hi), limit)
			}
		}
	}
}

// TestIntervalCovers: each bound errs as seldom as it says, whatever the
// distribution: normal, skewed, in steps, one outlier.
func TestIntervalCovers(t *testing.T) {
	const rounds, alpha, shift = 4000, 0.05, 3.
	r := rand.New(rand.NewPCG(3, 4))
	for name, draw := range map[string]func() float64{
		"normal":  r.NormFloat64,
		"skewed":  r.ExpFloat64,
		"stepped": func() float64 { return float64(r.IntN(2)) },
		"outlier": func() float64 { return r.NormFloat64() + 100*float64(r.IntN(10)/9) },
		"none":    func() float64 { return 1 },
	} {
		for _, n := range []int{3, 10, 20} {
			for _, deterministic := range []bool{false, true} {
				low, high := 0, 0
				for range rounds {
					base, other := make([]float64, n), make([]float64, n)
					for i := range n {
						base[i], other[i] = draw(), draw()+shift
					}
					i := change(deterministic, base, other).Interval(1 - alpha)
					if *i.Lo > shift+rounding {
						low++
					}
					if *i.Hi < shift-rounding {
						high++
					}
				}
				// 5 % of 4000 are 200; 250 would be chance once in 5000 times.
				if low > 250 || high > 250 {
					t.Errorf("%s, %d trials: %d and %d of %d bounds are wrong", name, n, low, high, rounds)
				}
			}
		}
	}
}

// TestDifferences: what is counted and found is as if every difference were kept
// and sorted.
func TestDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 11))
	for range 300 {
		n1, n2 := 1+r.IntN(12), 1+r.IntN(12)
		if r.IntN(2) == 0 {
			n2 = n1
		}
		scale := []float64{1e-9, 1, 1e12}[r.IntN(3)]
		draw := func(n int) *Figure {
			f := &Figure{}
			for range n {
				f.Values = append(f.Values, scale*float64(r.IntN(9)-4)/3)
			}
			return f
		}
		a, b := draw(n1), draw(n2)
		var all, pairs []float64
		for i, x := range a.Values {
			for _, y := range b.Values {
				all = append(all, y-x)
			}
			if n1 == n2 {
				for j := range i + 1 {
					pairs = append(pairs, ((b.Values[i]-x)+(b.Values[j]-a.Values[j]))/2)
				}
			}
		}
		check := func(c *Change, want []float64) {
			slices.Sort(want)
			if c.differences() != len(want) {
				t.Fatalf("%d differences, want %d", c.differences(), len(want))
			}
			for i, d := range want {
				if got := c.difference(i + 1); math.Abs(got-d) > 1e-15*scale {
					t.Fatalf("%v %v: difference %d is %v, want %v", a.Values, b.Values, i+1, got, d)
				}
			}
			for _, limit := range []float64{math.Inf(-1), -scale, 0, scale / 2, math.Inf(1)} {
				up := sort.Search(len(want), func(i int) bool { return want[i] > limit })
				if got := c.upTo(limit); got != up {
					t.Fatalf("%v %v: %d up to %v, want %d", a.Values, b.Values, got, limit, up)
				}
			}
		}
		check(NewChange(a, b, false), all)
		if n1 == n2 {
			check(NewPairedChange(a, b), pairs)
		}
	}
	// Ten thousand trials on each side have a hundred million differences.
	many := &Figure{}
	for range 10000 {
		many.Values = append(many.Values, r.Float64())
	}
	if n := testing.AllocsPerRun(1, func() { NewChange(many, many, false).Interval(0.95) }); n > 100 {
		t.Errorf("%v allocations", n)
	}
}

// TestTurns: the signed ranks of pairs, by Wilcoxon's table, and what their bounds
// miss, with a drift that both sides share.
func TestTurns(t *testing.T) {
	for _, c := range []struct {
		n, k int
		want float64
	}{{5, 0, 1. / 32}, {10, 10, 43. / 1024}, {10, 11, 54. / 1024}, {8, 36, 1}, {60, 0, 0}, {60, 915, 0.5}} {
		if got := signedRankTail(c.n, c.k); math.Abs(got-c.want) > 2e-3 || c.n <= 10 && math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%d pairs, %d: %v, want %v", c.n, c.k, got, c.want)
		}
	}
	const rounds, alpha, shift = 4000, 0.05, 3.
	r := rand.New(rand.NewPCG(8, 9))
	low, high, width := 0, 0, 0.
	for range rounds {
		base, other := make([]float64, 12), make([]float64, 12)
		for i := range base {
			drift := 20 * r.NormFloat64()
			base[i], other[i] = 100+drift+r.NormFloat64(), 100+drift+shift+r.NormFloat64()
		}
		i := NewPairedChange(&Figure{Values: base}, &Figure{Values: other}).Interval(1 - alpha)
		width += (*i.Hi - *i.Lo) / rounds
		if *i.Lo > shift {
			low++
		}
		if *i.Hi < shift {
			high++
		}
	}
	if low > 250 || high > 250 || width > 2.5 {
		t.Errorf("%d and %d of %d bounds are wrong; they are %v apart", low, high, rounds, width)
	}
	if n := NewPairedChange(&Figure{Values: []float64{1}}, &Figure{Values: []float64{2}}).LeastTrials(0.001); n != 10 {
		t.Errorf("%d turns", n)
	}
}

// TestPAboveOfTies: trials that don't vary at all prove nothing by that alone.
func TestPAboveOfTies(t *testing.T) {
	five, seven := []float64{5, 5, 5}, []float64{7, 7, 7}
	if p := change(true, five, five).PAbove(0.1); p < 0.9 {
		t.Errorf("equal trials are worse, p %v", p)
	}
	if p := change(true, five, seven).PAbove(0.1); p <= 0 || p > 1e-6 {
		t.Errorf("40 %% more has p %v", p)
	}
	if p := change(false, five, seven).PAbove(0.1); math.Abs(p-0.05) > 1e-9 {
		t.Errorf("of three ranks p is %v", p)
	}
	zero := []float64{0, 0, 0}
	if p := change(true, zero, five).PAbove(0); math.Abs(p-0.05) > 1e-9 {
		t.Errorf("from nothing p is %v", p)
	}
}

// TestTrialsToSettle: with so many trials most are settled, with half of them
// many aren't.
func TestTrialsToSettle(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const limit, alpha, sd = 5., 0.05, 6.
	draw := func(n int, center float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = center + sd*r.NormFloat64()
		}
		return out
	}
	settled := func(n int) float64 {
		k := 0
		for range 1000 {
			if hi := change(false, draw(n, 100), draw(n, 101)).Interval(1 - alpha).Hi; hi != nil && *hi < limit {
				k++
			}
		}
		return float64(k) / 1000
	}
	var needs []int
	for range 400 {
		needs = append(needs, change(false, draw(40, 100), draw(40, 101)).TrialsToSettle(limit, alpha))
	}
	slices.Sort(needs)
	n := needs[len(needs)/2]
	if at, less := settled(n), settled(n/2); at < 0.7 || at > 0.9 || less > 0.65 {
		t.Errorf("%d trials settle %v, half of them %v", n, at, less)
	}
	if n := change(false, []float64{1, 2, 3}, []float64{6, 7, 8}).TrialsToSettle(5, alpha); n != 0 {
		t.Errorf("a change just as large as the limit is settled by %d trials", n)
	}
	for alpha, want := range map[float64]int{0.05: 3, 0.001: 7, 0.00002: 10} {
		if got := change(false, []float64{1}, []float64{2}).LeastTrials(alpha); got != want {
			t.Errorf("at %v at least %d trials, want %d", alpha, got, want)
		}
	}
}
