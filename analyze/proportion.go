// SPDX-License-Identifier: Apache-2.0

package analyze

import "github.com/aclements/go-moremath/mathx"

// ExactInterval is the confidence interval of a chance of which hits of n trials
// had it, by Clopper and Pearson: it holds for every chance at least as often as
// confidence says, for 0 of n and n of n too. Without trials it is 0 … 1.
func ExactInterval(hits, n int, confidence float64) (lo, hi float64) {
	tail := (1 - confidence) / 2
	hi = 1
	// The chance of that many hits or more grows with p, and is mathx.BetaInc of p.
	if hits > 0 {
		lo = solve(func(p float64) bool { return mathx.BetaInc(p, float64(hits), float64(n-hits+1)) < tail })
	}
	if hits < n {
		hi = solve(func(p float64) bool { return mathx.BetaInc(p, float64(hits+1), float64(n-hits)) < 1-tail })
	}
	return lo, hi
}

// solve is where below, which holds from 0 on, ceases to.
func solve(below func(p float64) bool) float64 {
	lo, hi := 0.0, 1.0
	for range 60 {
		if mid := (lo + hi) / 2; below(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}
