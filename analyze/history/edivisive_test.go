// SPDX-License-Identifier: Apache-2.0

package history

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mapprof/mapprof/analyze"
)

// TestRates: a change of 10 % in the middle of 30 runs that scatter by 2 % is
// found within one run of its place, and at most one of 100 unchanged series has
// a point, both by the exact interval.
func TestRates(t *testing.T) {
	const series = 2000
	r := RunSelfTest(series)
	lo, hi := analyze.ExactInterval(r.Unchanged, series, 0.95)
	t.Logf("unchanged with a point: %d of %d, %.2f … %.2f %%", r.Unchanged, series, 100*lo, 100*hi)
	if hi > 0.01 {
		t.Errorf("of unchanged series %d of %d have a point: it may be more than 1 of 100", r.Unchanged, series)
	}
	lo, hi = analyze.ExactInterval(r.Found, series, 0.95)
	t.Logf("planted and found: %d of %d, %.2f … %.2f %%; with another point: %d", r.Found, series, 100*lo, 100*hi, r.Extra)
	if lo < 0.99 {
		t.Errorf("of planted changes %d of %d were found within one run of their place: it may be fewer than 99 of 100", r.Found, series)
	}
}

func TestSplits(t *testing.T) {
	levels := func(noise float64, ls ...float64) []float64 { // eight runs of each level
		r := rand.New(rand.NewPCG(1, 1))
		var v []float64
		for _, l := range ls {
			for range 8 {
				v = append(v, l*(1+noise*r.NormFloat64()))
			}
		}
		return v
	}
	outlier := levels(0.001, 100, 100, 100)
	outlier[11] = 1000
	drift := levels(0, 100, 100, 100)
	for i := range drift {
		drift[i] += float64(i % 2) // two values in turns: ticks
	}
	for name, c := range map[string]struct {
		values []float64
		want   []int
	}{
		"none":                      {nil, nil},
		"too few":                   {[]float64{1, 1, 1, 1, 1, 9, 9, 9, 9, 9, 9}, nil},
		"just enough":               {[]float64{1, 1, 1, 1, 1, 1, 9, 9, 9, 9, 9, 9}, []int{6}},
		"all equal":                 {slices.Repeat([]float64{0.1}, 40), nil},
		"exact levels":              {levels(0, 100, 101), []int{8}},
		"up":                        {levels(0.01, 100, 110, 110), []int{8}},
		"down":                      {levels(0.01, 110, 110, 100), []int{16}},
		"up and down again":         {levels(0.01, 100, 110, 100), []int{8, 16}},
		"three steps":               {levels(0.01, 100, 110, 121, 133), []int{8, 16, 24}},
		"one outlier":               {outlier, nil},
		"two values in turns":       {drift, nil},
		"only the newest two":       {append(levels(0.001, 100, 100, 100), 120, 120), nil},
		"the newest three":          {append(levels(0.001, 100, 100, 100), 120, 120, 120), []int{24}},
		"below zero":                {levels(0.01, -100, -120), []int{8}},
		"far from zero, small step": {levels(0, 1e15, 1e15+8), []int{8}},
	} {
		before := slices.Clone(c.values)
		var got []int
		for _, s := range splits(c.values) {
			got = append(got, s.at)
			if s.p <= 0 || s.p > Alpha {
				t.Errorf("%s: p %v", name, s.p)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: splits at %v, want %v", name, got, c.want)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("%s: the values were changed", name)
		}
	}
}

// TestEnergySplit holds the statistic against the definition, with every mean
// written out.
func TestEnergySplit(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		v := make([]float64, 6+r.IntN(12))
		for i := range v {
			v[i] = r.NormFloat64() + float64(i/7)
		}
		wantAt, want := 0, 0.0
		for at := MinLevel; at <= len(v)-MinLevel; at++ {
			for end := at + MinLevel; end <= len(v); end++ {
				x, y := v[:at], v[at:end]
				n, m := float64(len(x)), float64(len(y))
				q := n * m / (n + m) * (2*meanDistance(x, y, false) - meanDistance(x, x, true) - meanDistance(y, y, true))
				if q > want {
					wantAt, want = at, q
				}
			}
		}
		at, q := energySplit(v)
		if at != wantAt || max(q-want, want-q) > 1e-9 {
			t.Errorf("%v: at %d, %v; want %d, %v", v, at, q, wantAt, want)
		}
	}
}

func meanDistance(x, y []float64, same bool) float64 {
	sum, n := 0.0, 0.0
	for i, a := range x {
		for j, b := range y {
			if !same || i != j {
				sum, n = sum+max(a-b, b-a), n+1
			}
		}
	}
	return sum / n
}
