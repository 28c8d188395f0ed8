// SPDX-License-Identifier: Apache-2.0

package history

import (
	"math/rand/v2"

	"github.com/mapprof/mapprof/analyze/compare"
)

// The made-up series of a self-test: runs that scatter by 2 %, and a change of
// 10 % in the middle.
const (
	SelfTestRuns    = 30
	SelfTestScatter = 0.02
	SelfTestChange  = 0.1
	selfTestNear    = 1
)

// SelfTest is how often points were found where it is known whether there is one.
type SelfTest struct {
	Series    int // of each kind
	Unchanged int // that had a point all the same
	Found     int // changed ones that had a point within one run of the change
	Extra     int // changed ones that had another point besides, or only another
}

// RunSelfTest looks for points in that many made-up series with a change, and as
// many without. Equal numbers give equal results.
func RunSelfTest(series int) SelfTest {
	t := SelfTest{Series: series}
	for seed := range uint64(series) {
		r := rand.New(rand.NewPCG(seed, 2))
		if len(madeUp(r, 0).Points) > 0 {
			t.Unchanged++
		}
		near, extra := false, false
		for _, p := range madeUp(r, SelfTestChange).Points {
			if max(p.At-SelfTestRuns/2, SelfTestRuns/2-p.At) <= selfTestNear {
				near = true
			} else {
				extra = true
			}
		}
		if near {
			t.Found++
		}
		if extra {
			t.Extra++
		}
	}
	return t
}

// madeUp makes a series up that changes in the middle.
func madeUp(r *rand.Rand, change float64) *Series {
	s := &Series{Better: compare.BetterLower, Threshold: compare.DefaultExactThreshold}
	for i := range SelfTestRuns {
		v := 12e6 * (1 + SelfTestScatter*r.NormFloat64())
		if i >= SelfTestRuns/2 {
			v *= 1 + change
		}
		s.Values = append(s.Values, Value{Run: i, Trials: 1, Median: v})
	}
	s.findPoints()
	return s
}
