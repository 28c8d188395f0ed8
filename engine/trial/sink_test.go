// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

// dirUplink is a task.Uplink to a directory, as a host is.
type dirUplink string

func (u dirUplink) Part(name string) (io.WriteCloser, error) {
	return os.OpenFile(filepath.Join(string(u), name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

func (u dirUplink) Commit(dir string) error {
	for _, name := range results.Files() {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(string(u), name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// TestCommits: after each commit the host has a whole run of one trial, with all
// deaths until then, or as many as are kept; and of a recording a row for each interval.
func TestCommits(t *testing.T) {
	for _, options := range []Options{{}, {NoDeaths: true}, {Interval: time.Second, DeathsLimit: 2500}, {Interval: time.Second, DeathsLimit: 6000}} {
		noDeaths := options.NoDeaths
		host := t.TempDir()
		env := &task.Env{Dir: filepath.Join(t.TempDir(), "run"), Uplink: dirUplink(host), OnProgress: func(task.Progress) {}}
		j := &Job{Scenario: "churn/6.12/rcu", Workload: "churn", Trial: 2, Strategy: results.StrategyRCU, Options: options}
		params := map[string]string{"outer": "array-of-maps", "rate": "100"}
		m := &Measurement{Job: j, Began: time.Now(), env: env, params: params, sums: newSums(j, params), memory: &memoryLeft{}}
		m.memory.look()
		file, err := newDeathsFile(env, j, nil)
		if err != nil {
			t.Fatal(err)
		}
		m.file, m.log = file, file.log
		s := newSink(m, file)
		replay, events := collect.NewReplay(s), newDeathEvents()
		for commit := range uint64(3) {
			n := 500 * (commit + 1) * (commit + 2)
			for range 1000 * (commit + 1) {
				if err := replay.Take(events.next()); err != nil {
					t.Fatal(err)
				}
				s.sums.operation(2000)
			}
			if err := s.Wait(collect.Wait{StartNS: 5, EndNS: 25}); err != nil {
				t.Fatal(err)
			}
			s.done.Store(n + 1)
			o := &collect.Outcome{AtNS: 2e9, Puts: n + 1, Freed: n, InFlight: 1, Paths: map[string]uint64{"rcu": n}, Loss: map[string]uint64{"stale": 0},
				Pending: []results.Death{{MapID: 9, PutNS: 15e8, MemBytes: 77}}}
			if err := s.Sweep(o); err != nil { // not due: nothing leaves
				t.Fatal(err)
			}
			s.due.Store(true)
			if err := s.Sweep(o); err != nil {
				t.Fatal(err)
			}
			d, err := results.Open(host)
			if noDeaths {
				if err == nil {
					_, err = os.Stat(filepath.Join(host, results.DeathsFile))
				}
				if !os.IsNotExist(err) {
					t.Fatalf("commit %d: %v", commit, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			tr := &d.Run.Scenarios[0].Trials[0]
			if !d.Run.Partial || !tr.Partial || tr.Index != 2 || tr.Freed != n || tr.Puts != tr.Expected || tr.Ops != n+1 || tr.Balance() != nil ||
				tr.Phases[results.PhaseLimbo].N != n || tr.Phases[results.PhaseOp].P50NS != 2000 || tr.Phases[results.PhaseUpdateWait].N != commit+1 ||
				tr.Pending.N != 1 || tr.Limbo.PeakMaps < 1000 || d.Run.Scenarios[0].Loop != "open" || tr.MemAvailableMinBytes == 0 {
				t.Errorf("commit %d: %+v", commit, tr)
			}
			var lines, logged, rows uint64
			if err := d.Deaths(func(death *results.Death) error {
				if lines++; death.Scenario != j.Scenario || death.Trial != 2 || death.MapName != "mpc" || death.Outer != "array-of-maps" {
					t.Fatalf("%+v", death)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := d.EachHistogram(func(h *hdrhistogram.Histogram) error {
				if h.Tag() == results.Tag(j.Scenario, 2, results.PhaseLimbo) {
					logged = uint64(h.TotalCount())
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			log, err := d.OpenHistograms()
			if err != nil {
				t.Fatal(err)
			}
			if err := results.DecodeHistograms(log, func(h *hdrhistogram.Histogram) error { rows++; return nil }); err != nil {
				t.Fatal(err)
			}
			log.Close()
			kept, wantRows := n, uint64(len(tr.Phases))
			if options.Interval > 0 {
				kept, wantRows = min(n, options.DeathsLimit), wantRows*(commit+1)
			}
			if lines != kept || tr.DeathsNotKept != n-kept || logged != n || rows != wantRows || (len(tr.Warnings) > 0) != (kept < n) {
				t.Errorf("commit %d: %d lines, %d not kept, %d in the histogram, %d rows; want %d lines of %d, %d rows: %q",
					commit, lines, tr.DeathsNotKept, logged, rows, kept, n, wantRows, tr.Warnings)
			}
		}
	}
}

// TestQuietTrialsKeepTheirDeaths: on the deterministic clock nothing leaves before
// the end.
func TestQuietTrialsKeepTheirDeaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	file, err := newDeathsFile(&task.Env{Uplink: discard{}}, &Job{Quiet: true}, w)
	if err != nil || file.uplink != nil || file.dir != w {
		t.Fatalf("%+v, %v", file, err)
	}
	if err := file.death(&results.Death{MapID: 5}); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(&results.Run{Targets: []results.Target{{}}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, results.DeathsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []uint32
	if err := results.DecodeDeaths(f, func(d *results.Death) error { got = append(got, d.MapID); return nil }); err != nil || len(got) != 1 || got[0] != 5 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestRSSPoints: they are as many as may be, over all of the time, and in order.
func TestRSSPoints(t *testing.T) {
	var m memoryLeft
	began := time.Now()
	const seconds = 5000
	for i := range seconds {
		m.lookAt(began.Add(time.Duration(i)*time.Second), uint64(i)+1)
	}
	points := m.rss()
	if n := len(points); n < results.MaxRSS/2 || n > results.MaxRSS || points[0].Bytes != 1 || points[n-1].Bytes < seconds*9/10 {
		t.Fatalf("%d points, from %+v to %+v", n, points[0], points[n-1])
	}
	for i, p := range points {
		if p.AtNS != int64(p.Bytes-1)*1e9 || i > 0 && p.AtNS-points[i-1].AtNS > 2*seconds*1e9/int64(len(points)) {
			t.Errorf("point %d is %+v, after %+v", i, p, points[max(0, i-1)])
		}
	}
}

func TestMemAvailable(t *testing.T) {
	for text, want := range map[string]uint64{
		"MemTotal: 5 kB\nMemFree: 3 kB\nMemAvailable:   12 kB\nBuffers: 1 kB\n": 12 << 10,
		"MemTotal: 5 kB\nMemAvailable: x kB\n":                                  0,
		"MemTotal: 5 kB\nMemAvailable:":                                         0,
		"":                                                                      0,
	} {
		if got := memAvailable([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
