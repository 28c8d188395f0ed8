// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// TestBucketWidth holds the width against what hdrhistogram-go makes of every
// value.
func TestBucketWidth(t *testing.T) {
	for digits, want := range map[int]float64{1: 1. / 16, 2: 1. / 128, 3: 1. / 1024, 4: 1. / 16384} {
		if got := BucketWidth(digits); got != want {
			t.Errorf("%d digits: %v, want %v", digits, got, want)
		}
		h := hdrhistogram.New(1, 1<<36-1, digits)
		widest, first := 0.0, int64(0)
		for v := int64(1); v < 1<<17; v++ {
			if !h.ValuesAreEquivalent(first, v) {
				first = v
			}
			if v > first { // a bucket of one unit is exact
				widest = max(widest, float64(v-first+1)/float64(first))
			}
		}
		if widest > want || widest < want/2 {
			t.Errorf("%d digits: the widest bucket is %v of its value, want %v", digits, widest, want)
		}
	}
}

func TestMergeMetricsKeepsBucketWidth(t *testing.T) {
	none, two := results.Metric{N: 1}, results.Metric{N: 1, BucketWidth: 1. / 128}
	for _, ms := range [][]results.Metric{{two}, {two, two}, {none, two}, {two, none}} {
		if got := mergeMetrics(ms).BucketWidth; got != two.BucketWidth {
			t.Errorf("%v: %v", ms, got)
		}
	}
	if got := mergeMetrics([]results.Metric{none, none}).BucketWidth; got != 0 {
		t.Errorf("exact metrics: %v", got)
	}
}

func TestMergeMetricsAddsWhatWasSeen(t *testing.T) {
	one := results.Metric{N: 5, Sample: 16, Seen: 90}
	none := results.Metric{Sample: 16, Seen: 7} // none of them was chosen
	if got := mergeMetrics([]results.Metric{one, none, one}); got.N != 10 || got.Seen != 187 || got.Sample != 16 {
		t.Errorf("%+v", got)
	}
}
