// SPDX-License-Identifier: Apache-2.0

package model

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

func TestCurve(t *testing.T) {
	h := results.NewHistogram()
	for i := range int64(1000) {
		if err := h.RecordValue(1_000_000 + i*1000); err != nil {
			t.Fatal(err)
		}
	}
	st := results.Stats{N: 1000, MinNS: 1_000_000, MaxNS: 1_999_000}
	c := newCurve(pack(h), st)
	at := func(x float64) float64 { return c.ValueAt(x) }
	for _, q := range []struct{ x, want float64 }{{0, 1_000_000}, {1, 1_899_000}, {2, 1_989_000}, {3, 1_998_000}, {3.2, 1_999_000}} {
		if got := at(q.x); got < q.want*0.998 || got > q.want*1.002 {
			t.Errorf("at %g decades: %g, want %g", q.x, got, q.want)
		}
	}
	for i, p := range c.Percentiles[1:] {
		if q := c.Percentiles[i]; p.Y < q.Y || p.X <= q.X {
			t.Errorf("point %d goes back: %v after %v", i+1, p, q)
		}
	}
	var sum int64
	for _, n := range c.Bins {
		sum += n
	}
	if sum != 1000 {
		t.Errorf("%d values in the bins, want 1000", sum)
	}
}

// TestCurvesOfKnownTrials: what histograms.hlog has of scenarios, trials and
// phases that run.json knows nothing of is not added up, and not kept.
func TestCurvesOfKnownTrials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	run := fixture.Churn{Kernels: []string{"6.12"}, Strategies: []string{"rcu"}, Trials: 2, Deaths: 50}.Write(t, path)
	id := run.Scenarios[0].ID
	curves := func() map[string]map[string]*Curve {
		d, err := results.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := curvesOf(d, d.Run.Scenarios)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	want := curves()
	if len(want) != 1 || want[id][results.PhaseLimbo] == nil {
		t.Fatalf("%v", want)
	}
	f, err := os.OpenFile(filepath.Join(path, results.HistogramsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	lw := hdrhistogram.NewHistogramLogWriter(f)
	for _, tag := range []string{results.Tag(id, 7, results.PhaseLimbo), results.Tag(id, 0, "invented"), results.Tag("other", 0, results.PhaseLimbo)} {
		h := results.NewHistogram()
		if err := h.RecordValues(5, 1000); err != nil {
			t.Fatal(err)
		}
		h.SetTag(tag)
		if err := lw.OutputIntervalHistogram(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := synthetic.Edit(path, nil); err != nil {
		t.Fatal(err)
	}
	if got := curves(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
