// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// checkHlog holds a run's log against its figures with HdrHistogram's own reader:
// every row that is a time has its histogram in every trial, with an interval in the
// trial's measured part, and the intervals of two trials don't overlap.
func checkHlog(t *testing.T, d *results.Dir, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log := hdrhistogram.NewHistogramLogReader(f)
	found := map[string]*hdrhistogram.Histogram{}
	type trial struct{ from, to int64 } // milliseconds since 1970
	trials := map[string]trial{}
	var order []string
	for {
		h, err := log.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		found[h.Tag()] = h
		scenario, n, _, err := results.ParseTag(h.Tag())
		if err != nil {
			t.Fatal(err)
		}
		key := results.Tag(scenario, n, "")
		if _, ok := trials[key]; !ok {
			order = append(order, key)
			trials[key] = trial{from: math.MaxInt64}
		}
		trials[key] = trial{min(trials[key].from, h.StartTimeMs()), max(trials[key].to, h.EndTimeMs())}
	}
	ended := map[string]int64{} // when the trial before it did
	for i := 1; i < len(order); i++ {
		ended[order[i]] = trials[order[i-1]].to
		if before, after := trials[order[i-1]], trials[order[i]]; after.from < before.to-1 { // the reader truncates
			t.Errorf("%s begins %d ms before %s ends", order[i], before.to-after.from, order[i-1])
		}
	}
	rows := 0
	for i := range d.Run.Scenarios {
		s := &d.Run.Scenarios[i]
		for _, tr := range s.Trials {
			of := trials[results.Tag(s.ID, tr.Index, "")]
			at, measured := tr.Started.UnixMilli(), int64(tr.DurationNS/1e6)
			// A target whose clock is ahead of the host's may end later, but then begins
			// where the trial before it ended, or the run began.
			before := max(ended[results.Tag(s.ID, tr.Index, "")], d.Run.Started.UnixMilli())
			late := of.to > d.Run.Ended.UnixMilli()+1 && at > before+1
			if of.from < at-1 || late || tr.Started.Before(d.Run.Started) {
				t.Errorf("%s, trial %d: measured from %d ms on, in the log from %d to %d, the run from %d to %d", s.ID, tr.Index, at, of.from, of.to, d.Run.Started.UnixMilli(), d.Run.Ended.UnixMilli())
			}
			// Deaths are of all of it, and until the last one has ended.
			if len(tr.Phases) > 0 && (of.from > at+1 || of.to-of.from < measured-2) {
				t.Errorf("%s, trial %d: from %d to %d ms in the log, from %d on %d ms measured", s.ID, tr.Index, of.from, of.to, at, measured)
			}
			// Paths are measured one after the other.
			last := of.from
			for path := range strings.SplitSeq(s.Params["path"], ",") {
				if h := found[results.Tag(s.ID, tr.Index, "lookup."+path+results.PicosecondsSuffix)]; h != nil {
					if h.StartTimeMs() < last-1 || h.EndTimeMs() > at+measured+2 || h.EndTimeMs() <= h.StartTimeMs() {
						t.Errorf("%s, trial %d: %s from %d to %d ms, the path before it to %d, all to %d", s.ID, tr.Index, h.Tag(), h.StartTimeMs(), h.EndTimeMs(), last, at+measured)
					}
					last = h.EndTimeMs()
				}
			}
			for name, p := range tr.Phases {
				rows++
				if h := found[results.Tag(s.ID, tr.Index, name)]; h == nil || uint64(h.TotalCount()) != p.N || h.ValueAtQuantile(50) != p.P50NS {
					t.Errorf("%s, trial %d: %s is not in the log as in run.json", s.ID, tr.Index, name)
				}
			}
			for name, m := range tr.Metrics {
				rows++
				h, scale := found[results.Tag(s.ID, tr.Index, name)], 1.0
				if h == nil {
					h, scale = found[results.Tag(s.ID, tr.Index, name+results.PicosecondsSuffix)], 1000
				}
				if h == nil {
					if m.Min >= 0 {
						t.Errorf("%s, trial %d: %s is not in the log", s.ID, tr.Index, name)
					}
					continue
				}
				if uint64(h.TotalCount()) != m.N || math.Abs(float64(h.Max())/scale-m.Max) > 0.02*m.Max+1 {
					t.Errorf("%s, trial %d: %s has %d values up to %g ns in the log, %d up to %g in run.json", s.ID, tr.Index, name, h.TotalCount(), float64(h.Max())/scale, m.N, m.Max)
				}
			}
		}
	}
	if rows == 0 || len(found) > rows {
		t.Errorf("%d histograms of %d rows", len(found), rows)
	}
	t.Logf("%d histograms of %d rows, %d trials", len(found), rows, len(order))
}

// TestVMHistogramIntervals: trials by a clock that has another pace than the wall's, of
// which TestVMTrialsTakeTurns has those that take turns; an exported log is the same.
func TestVMHistogramIntervals(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr := mapprof(t, "run", "--kernel", "6.12", "-o", dir,
		"--clock", "icount", "--workload", "lookup", "--path", "helper,syscall", "--count", "20000", "--trials", "2")
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	checkExportedHlog(t, dir)
}

// checkExportedHlog holds a run's histograms against the run, as they are exported.
func checkExportedHlog(t *testing.T, dir string) {
	t.Helper()
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	exported := filepath.Join(t.TempDir(), "exported.hlog")
	if code, _, stderr := mapprof(t, "export", dir, "--format", "hlog", "-o", exported); code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	checkHlog(t, d, exported)
}
