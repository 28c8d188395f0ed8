// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"math"
	"testing"
)

// TestGapsOfPeriodicCaller: of a caller whose calls repeat, each one of its period is
// timed as often, and one in n of all, whether the period divides n or not. A stride
// of 16 would meet one call in 16 of a period of 16, and always that one.
func TestGapsOfPeriodicCaller(t *testing.T) {
	for _, n := range []uint64{2, 16, 1024} {
		for _, period := range []uint64{2, 3, 7, 16, 31, 32} {
			g := newGaps(n, 12345)
			hits := make([]float64, period)
			const samples = 200_000
			call := uint64(0)
			for range samples {
				call += g.draw()
				hits[call%period]++
			}
			if share := samples * float64(n) / float64(call); math.Abs(share-1) > 0.01 {
				t.Errorf("one in %d: %d of %d calls, %.4f times as many", n, samples, call, share)
			}
			// The standard error of a share 1/period is below sqrt(samples/period).
			want := samples / float64(period)
			for phase, h := range hits {
				if math.Abs(h-want) > 5*math.Sqrt(want) {
					t.Errorf("one in %d, period %d: call %d of it was timed %.0f times, want %.0f", n, period, phase, h, want)
				}
			}
		}
	}
}

// TestGaps: all gaps from 1 to 2n-1 come, no other does, and n of 1 takes each call.
func TestGaps(t *testing.T) {
	for _, n := range []uint64{1, 2, 16, 1 << 16} {
		g := newGaps(n, 0)
		least, most, sum := uint64(math.MaxUint64), uint64(0), 0.0
		const draws = 1 << 20
		for range draws {
			gap := g.draw()
			least, most, sum = min(least, gap), max(most, gap), sum+float64(gap)
		}
		if least < 1 || most > 2*n-1 {
			t.Errorf("one in %d: gaps from %d to %d", n, least, most)
		}
		if n <= 16 && (least != 1 || most != 2*n-1) {
			t.Errorf("one in %d: gaps from %d to %d, want 1 to %d", n, least, most, 2*n-1)
		}
		if mean := sum / draws; math.Abs(mean/float64(n)-1) > 0.01 {
			t.Errorf("one in %d: a mean gap of %.2f", n, mean)
		}
	}
}
