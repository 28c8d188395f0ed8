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
// deaths until then.
func TestCommits(t *testing.T) {
	for _, noDeaths := range []bool{false, true} {
		host := t.TempDir()
		env := &task.Env{Dir: filepath.Join(t.TempDir(), "run"), Uplink: dirUplink(host), OnProgress: func(task.Progress) {}}
		j := &Job{Scenario: "churn/6.12/rcu", Workload: "churn", Trial: 2, Strategy: results.StrategyRCU, Options: Options{NoDeaths: noDeaths}}
		params := map[string]string{"outer": "array-of-maps", "rate": "100"}
		m := &Measurement{Job: j, Began: time.Now(), env: env, params: params, sums: newSums(j, params), memory: &memoryLeft{}}
		m.memory.look()
		file, err := newDeathsFile(env, j, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := newSink(m, file)
		replay, events := collect.NewReplay(s), newDeathEvents()
		for commit := range uint64(3) {
			n := 1000 * (commit + 1)
			for range 1000 {
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
			var lines, logged uint64
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
			if lines != n || logged != n {
				t.Errorf("commit %d: %d lines, %d in the histogram", commit, lines, logged)
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
