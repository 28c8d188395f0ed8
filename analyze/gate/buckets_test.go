// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// timedMetric is what a probe's histogram of two digits gives: mostly one
// value, a few shorter and longer ones around it.
func timedMetric(t *testing.T, ns int64) results.Metric {
	t.Helper()
	h, e := hdrhistogram.New(1, 1<<36-1, 2), analyze.Exact{}
	for i := range int64(100) {
		v := ns
		switch i {
		case 0:
			v = 1000
		case 99:
			v = 9000
		}
		if err := h.RecordValue(v); err != nil {
			t.Fatal(err)
		}
		e.Add(analyze.Exact{N: 1, SumNS: v, MinNS: v, MaxNS: v})
	}
	m := analyze.MetricOfHistogram(h, e, "fentry and fexit of a function")
	metrics := map[string]results.Metric{"": m}
	analyze.InUnitsOf(results.ClockICount, metrics)
	return metrics[""]
}

// A quantile that steps over the edge of a bucket is no regression.
func TestGateKnowsBuckets(t *testing.T) {
	const name = "lookup.syscall.function"
	run := func(ns int64, seed uint64) *results.Run {
		r := synthetic.Seeded(3, 0.0001, 1, results.ClockICount, seed)
		for i := range r.Scenarios[0].Trials {
			r.Scenarios[0].Trials[i].Metrics[name] = timedMetric(t, ns)
		}
		return r
	}
	for _, c := range []struct {
		base, candidate int64
		step            float64 // between the medians
		want            string
	}{
		{2063, 2064, 16, VerdictPass}, // the edge of a bucket that is 16 wide
		{2064, 2063, -16, VerdictPass},
		{2063, 2110, 48, VerdictRegression},
		{169, 171, 2, VerdictRegression},   // each has a bucket of its own
		{169, 170, 1, VerdictInconclusive}, // 0.6 % against a limit of 0.5 %
	} {
		v := Judge(compare.Input{Name: "a", Run: run(c.base, 1)}, compare.Input{Name: "b", Run: run(c.candidate, 2)}, nil, DefaultPolicy())
		got := checkOf(v, name+"/p50")
		if got.Result != c.want || v.Verdict != c.want || got.Delta == nil || *got.Delta != c.step {
			t.Errorf("from %d to %d: %s, %+v, want %s", c.base, c.candidate, v.Verdict, got, c.want)
		}
	}
	// The mean is exact, and the peak of memory is of two maps.
	fs, err := compare.FiguresOf(&run(2063, 1).Scenarios[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fs {
		want := 0.0
		switch metric, figure, _ := strings.Cut(f.Name, "/"); {
		case figure == "mean" || figure == "max":
		case metric == name:
			want = 1. / 128
		case f.Name == compare.FigurePeakBytes:
			want = 1. / 2
		case f.Unit == compare.UnitNS:
			want = 1. / 1024
		}
		if f.Coarse != want {
			t.Errorf("%s is %v coarse, want %v", f.Name, f.Coarse, want)
		}
	}
}
