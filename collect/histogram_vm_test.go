// SPDX-License-Identifier: Apache-2.0

//go:build vm

package collect_test

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/target/task"
)

const (
	histogramTask = "lookup-histogram"
	gapsTask      = "lookup-gaps"
)

// histogramValues are the edges of every bucket, and a million random values
// of every magnitude.
func histogramValues() []uint64 {
	values := []uint64{0, probes.LookupMaxNS, probes.LookupMaxNS + 1, 1 << 40, 1<<63 - 1}
	for v := int64(1); v <= probes.LookupMaxNS; {
		// 256 buckets of one nanosecond, then 128 of each doubled width.
		width := int64(1) << max(0, bits.Len64(uint64(v))-8)
		low, high := v, v+width-1
		for _, e := range []int64{low, low + 1, high - 1, high} {
			if e >= 0 && e <= probes.LookupMaxNS {
				values = append(values, uint64(e))
			}
		}
		v = high + 1
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 1_000_000 {
		values = append(values, random.Uint64()>>(28+random.IntN(36)))
	}
	return values
}

// checkLookupHistogram holds the histogram that BPF makes against
// hdrhistogram-go's, of the same values.
func checkLookupHistogram(context.Context, *task.Env, task.None) (int, error) {
	values := histogramValues()
	got, err := probes.RecordLookups(values)
	if err != nil {
		return 0, err
	}
	imported, err := collect.LookupHistogram(got)
	if err != nil {
		return 0, err
	}
	want := hdrhistogram.New(probes.LookupMinNS, probes.LookupMaxNS, probes.LookupDigits)
	var sum, overflow uint64
	for _, v := range values {
		sum += v
		if v > probes.LookupMaxNS {
			overflow++
			continue
		}
		if err := want.RecordValue(int64(v)); err != nil {
			return 0, err
		}
	}
	counts := want.Export().Counts
	for i, n := range counts {
		if got.Buckets[i] != n {
			return 0, fmt.Errorf("bucket %d: BPF counted %d, hdrhistogram-go %d", i, got.Buckets[i], n)
		}
	}
	switch {
	case len(counts) != len(got.Buckets):
		return 0, fmt.Errorf("%d buckets, hdrhistogram-go has %d", len(got.Buckets), len(counts))
	case !imported.Equals(want):
		return 0, fmt.Errorf("what was imported is not equal")
	case got.Count != uint64(len(values)) || got.Overflow != overflow || got.SumNS != sum || got.MinNS != slices.Min(values) || got.MaxNS != slices.Max(values):
		return 0, fmt.Errorf("exact: count %d, overflow %d, sum %d, min %d, max %d", got.Count, got.Overflow, got.SumNS, got.MinNS, got.MaxNS)
	}
	return len(values), nil
}

func TestVMLookupHistogramOnEveryKernel(t *testing.T) {
	for _, kernel := range vmtest.Kernels() {
		t.Run(kernel, func(t *testing.T) {
			checked := vmtest.Call[int](t, vmtest.VM(t, kernel), histogramTask, task.None{})
			if want := len(histogramValues()); checked != want {
				t.Errorf("the guest checked %d values, want %d", checked, want)
			}
		})
	}
}

// drawnGaps are the gaps between sampled calls, as BPF and as Go draw them.
type drawnGaps struct{ InBPF, InGo []uint64 }

func drawGaps(_ context.Context, _ *task.Env, n uint64) (d drawnGaps, err error) {
	d.InBPF, d.InGo, err = probes.DrawGaps(n, 12345)
	return d, err
}

// TestVMLookupGaps holds the gaps that BPF draws against those whose fairness is tested
// without a kernel.
func TestVMLookupGaps(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{2, 16, 1 << 16} {
		d := vmtest.Call[drawnGaps](t, vmtest.VM(t, "6.12"), gapsTask, n)
		if len(d.InBPF) == 0 || !slices.Equal(d.InBPF, d.InGo) {
			t.Errorf("one in %d: %v in BPF, %v in Go", n, d.InBPF[:min(8, len(d.InBPF))], d.InGo[:min(8, len(d.InGo))])
		}
	}
}
