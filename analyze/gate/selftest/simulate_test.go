// SPDX-License-Identifier: Apache-2.0

package selftest

import (
	"math"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestSimulate holds the gate to what it promises of one metric.
func TestSimulate(t *testing.T) {
	const pairs = 300
	cells, err := simulateRuns(t.Context(), pairs, 1)
	if err != nil || len(cells) != 2*4*4+4*4 {
		t.Fatalf("%d cells, %v", len(cells), err)
	}
	for _, c := range cells {
		if c.Pairs != pairs || c.Pass+c.Regression+c.Inconclusive != pairs {
			t.Errorf("%+v", c)
		}
		share := func(n int) float64 { return float64(n) / pairs }
		quiet := c.Clock == results.ClockWall && c.Trials == 20 && c.Scatter <= 0.02 || c.Clock == results.ClockICount && c.Scatter <= 0.001
		switch {
		case c.Change == 2*c.Margin && share(c.Pass) > 0.01:
			t.Errorf("twice the margin passes: %+v", c)
		case c.Change == 0 && share(c.Regression) > 0.01:
			t.Errorf("no change is a regression: %+v", c)
		case c.Change == 0 && quiet && share(c.Pass) < 0.9:
			t.Errorf("no change doesn't pass: %+v", c)
		case c.Change == 2*c.Margin && quiet && share(c.Regression) < 0.9:
			t.Errorf("twice the margin is not found: %+v", c)
		case c.Change > c.Margin && share(c.Pass) > 0.05+0.02: // pass_alpha
			t.Errorf("more than the margin passes: %+v", c)
		case c.Change < c.Margin && share(c.Regression) > 0.01:
			t.Errorf("less than the margin is a regression: %+v", c)
		}
	}
}

// TestSimulateTurns: to look again and again doesn't make it err more often.
func TestSimulateTurns(t *testing.T) {
	const pairs = 60
	cells, err := simulateTurns(t.Context(), pairs, 1)
	if err != nil || len(cells) != 3*4 {
		t.Fatalf("%d cells, %v", len(cells), err)
	}
	for _, c := range cells {
		t.Logf("%+v", c)
		// 5 % of 60 are 3, 9 would be chance once in a thousand times.
		switch {
		case c.Change == c.Margin && c.Pass > 9:
			t.Errorf("a change as large as the margin passes: %+v", c)
		case c.Change <= c.Margin && c.Regression > 2:
			t.Errorf("no more than the margin is a regression: %+v", c)
		case c.Change == 2*c.Margin && c.Pass > 1:
			t.Errorf("twice the margin passes: %+v", c)
		case c.Change == 0 && c.Scatter <= 0.05 && c.Pass < pairs*9/10:
			t.Errorf("no change doesn't pass: %+v", c)
		case c.Change == 2*c.Margin && c.Scatter <= 0.05 && c.Regression < pairs*9/10:
			t.Errorf("twice the margin is not found: %+v", c)
		case c.MeanTurns < float64(c.Trials) || c.MeanTurns > mostTurns:
			t.Errorf("%+v", c)
		}
	}
}

// TestRateInterval: R's binom.test gives these.
func TestRateInterval(t *testing.T) {
	for _, c := range []struct {
		n, of  int
		lo, hi float64
	}{{0, 2, 0, 0.8419}, {2, 2, 0.1581, 1}, {0, 10, 0, 0.3085}, {7, 20, 0.1539, 0.5922}, {0, 2000, 0, 0.001843}, {1, 1, 0.025, 1}} {
		r := Rate{Pairs: c.of}
		if lo, hi := r.Interval(c.n); math.Abs(lo-c.lo) > 5e-5 || math.Abs(hi-c.hi) > 5e-5 {
			t.Errorf("%d of %d: %v to %v, want %v to %v", c.n, c.of, lo, hi, c.lo, c.hi)
		}
	}
}
