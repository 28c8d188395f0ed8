// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"math"
	"testing"
)

// TestExactInterval holds bounds against those that follow without a solver, and
// against a published one.
func TestExactInterval(t *testing.T) {
	for _, c := range []struct {
		hits, n int
		lo, hi  float64
	}{
		{0, 2, 0, 1 - math.Sqrt(0.025)},
		{2, 2, math.Sqrt(0.025), 1},
		{0, 600, 0, 1 - math.Pow(0.025, 1.0/600)},
		{10, 100, 0.0490, 0.1762}, // R's binom.test
		{0, 0, 0, 1},
	} {
		lo, hi := ExactInterval(c.hits, c.n, 0.95)
		if math.Abs(lo-c.lo) > 5e-5 || math.Abs(hi-c.hi) > 5e-5 {
			t.Errorf("%d of %d: %.5f … %.5f, want %.5f … %.5f", c.hits, c.n, lo, hi, c.lo, c.hi)
		}
	}
}
