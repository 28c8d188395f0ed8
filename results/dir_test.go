// SPDX-License-Identifier: Apache-2.0

package results

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func sampleRun() *Run {
	limbo := map[string]Stats{PhaseLimbo: {N: 2, P50NS: 15, P90NS: 15, P99NS: 15, MinNS: 13, MaxNS: 15, MeanNS: 14, SumNS: 28}}
	target := Target{Kind: "vm", Accel: "tcg", Clock: "wall", CPUs: 2, Kernel: Kernel{Release: "6.12.117"}}
	return &Run{
		Tool: Tool{Name: "mapprof"}, Target: target, Targets: []Target{target},
		Scenarios: []Scenario{{
			ID: "churn/6.12.117/rcu", Workload: "churn", Kernel: "6.12.117", Loop: "closed",
			Strategy: Strategy{Requested: "rcu", Observed: "rcu", Paths: map[string]uint64{"rcu": 2}},
			Phases:   limbo,
			Trials:   []Trial{{Puts: 2, Freed: 2, Expected: 2, Phases: limbo, Loss: map[string]uint64{}}},
			Loss:     map[string]uint64{"ringbuf_full": 0},
		}},
		Loss: map[string]uint64{"ringbuf_full": 0}, Warnings: []string{},
	}
}

func sampleDeaths() []Death {
	return []Death{
		{Scenario: "churn/6.12.117/rcu", Path: "rcu", MapID: 7, PutNS: 100, EnqueueNS: 110, RCUEnqueueNS: 110, RCUEndNS: 500, FreeNS: 520, FreedNS: 530, MapName: "mp_inner", Stack: "ab"},
		{Scenario: "churn/6.12.117/rcu", Path: "immediate", MapID: 8, PutNS: 200, FreeNS: 220, FreedNS: 230, MapName: `"<script>`},
	}
}

func writeSample(t *testing.T, dir string) {
	t.Helper()
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, d := range sampleDeaths() {
		if err := w.Death(&d); err != nil {
			t.Fatal(err)
		}
	}
	h := NewHistogram()
	for v := int64(1); v < 1e6; v *= 3 {
		if err := h.RecordValue(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Histogram(Tag("churn/6.12.117/rcu", 0, PhaseLimbo), h, time.Unix(1, 0), time.Unix(2, 0)); err != nil {
		t.Fatal(err)
	}
	if err := w.Profile([]byte("profile")); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(sampleRun()); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "run")
	writeSample(t, dir)
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := sampleRun()
	want.SchemaVersion, want.Files = SchemaVersion, d.Run.Files
	if !reflect.DeepEqual(d.Run, want) {
		t.Errorf("run changed:\n got %+v\nwant %+v", d.Run, want)
	}
	var deaths []Death
	if err := d.Deaths(func(d *Death) error { deaths = append(deaths, *d); return nil }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(deaths, sampleDeaths()) {
		t.Errorf("deaths changed: %+v", deaths)
	}
	var hists []string
	if err := d.EachHistogram(func(h *hdrhistogram.Histogram) error {
		hists = append(hists, fmt.Sprintf("%s: %d values", h.Tag(), h.TotalCount()))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(hists, []string{"churn/6.12.117/rcu/t0/limbo: 13 values"}) {
		t.Errorf("histograms: %v", hists)
	}
	entries, _ := os.ReadDir(filepath.Dir(dir))
	if len(entries) != 1 {
		t.Errorf("left beside the run: %v", entries)
	}
}

func TestCreateRefusesWhatExists(t *testing.T) {
	dir := t.TempDir()
	if _, err := Create(dir); err == nil || !strings.Contains(err.Error(), "it exists") {
		t.Errorf("Create(%s) = %v", dir, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(filepath.Join(file, "run")); err == nil {
		t.Error("created below a file")
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	w, err := Create(filepath.Join(parent, "runs", "run"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Death(&Death{}); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if entries, _ := os.ReadDir(parent); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}

func TestFinishFailsWhenSomebodyWasFaster(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "run")
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "theirs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(sampleRun()); err == nil {
		t.Error("Finish replaced a directory with content")
	}
	if entries, _ := os.ReadDir(parent); len(entries) != 1 {
		t.Errorf("left: %v", entries)
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	var schema *SchemaError
	var corrupt *CorruptError
	for _, tt := range []struct {
		name, run string
		as        any
		text      string
	}{
		{"newer", `{"schema_version": 999}`, &schema, "use a newer mapprof"},
		{"zero", `{"schema_version": 0}`, &schema, "never existed"},
		{"no version", `{}`, &corrupt, "no schema_version"},
		{"empty", ``, &corrupt, "damaged or truncated"},
		{"truncated", `{"schema_version": 1, "scen`, &corrupt, "damaged or truncated"},
		{"not JSON", "\x00\x01", &corrupt, "damaged"},
		{"no targets", `{"schema_version": 1}`, &corrupt, "no targets"},
		{"target out of range", `{"schema_version":1,"targets":[{}],"scenarios":[{"id":"a","target":3}]}`, &corrupt, "target 3 of 1"},
		{"twice", `{"schema_version":1,"targets":[{}],"scenarios":[{"id":"a"},{"id":"a"}]}`, &corrupt, "occurs twice"},
		{"expedited", `{"schema_version":1,"targets":[{}],"scenarios":[{"id":"a","trials":[{"update_wait_expedited":2,"phases":{"update_wait":{"n":1}}}]}]}`, &corrupt, "2 of 1 update waits were expedited"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, RunFile), []byte(tt.run), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			if !errors.As(err, tt.as) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Open: %v", err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), RunFile)
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); !errors.Is(err, ErrNotRun) || !strings.Contains(err.Error(), "the one that holds") {
		t.Errorf("a run.json itself: %v", err)
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNotRun) {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no")); err == nil || !strings.Contains(err.Error(), "no such directory") {
		t.Errorf("no directory: %v", err)
	}
}

// TestDamage flips and cuts the data files: no reader opens the run, and one that
// reads them all the same gets an error or what was written, and never panics.
func TestDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	writeSample(t, dir)
	for _, name := range []string{DeathsFile, HistogramsFile} {
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		read := func() error {
			d := &Dir{Path: dir} // unchecked
			if name == DeathsFile {
				return d.Deaths(func(*Death) error { return nil })
			}
			return d.EachHistogram(func(*hdrhistogram.Histogram) error { return nil })
		}
		failed := 0
		for i := range good {
			bad := append([]byte{}, good...)
			bad[i] ^= 0x10
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if read() != nil {
				failed++
			}
			if _, err := Open(dir); err == nil {
				t.Errorf("%s: a flipped bit in byte %d is not seen", name, i)
			}
			if err := os.WriteFile(path, good[:i], 0o644); err != nil {
				t.Fatal(err)
			}
			_ = read()
			if _, err := Open(dir); err == nil {
				t.Errorf("%s: cut off after %d bytes, and it is not seen", name, i)
			}
		}
		if failed == 0 {
			t.Errorf("%s: no flipped bit was noticed", name)
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHistogramTagMustBeLoggable(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, tag := range []string{"", "a,b", "a b", "a\nb", "a\x1bc", "é"} {
		if err := w.Histogram(tag, NewHistogram(), time.Now(), time.Now()); err == nil {
			t.Errorf("tag %q was accepted", tag)
		}
	}
}

func TestTags(t *testing.T) {
	s, n, p, err := ParseTag(Tag("churn/6.12#2/tasks-trace", 17, PhaseRCUGP))
	if s != "churn/6.12#2/tasks-trace" || n != 17 || p != PhaseRCUGP || err != nil {
		t.Errorf("got %q %d %q %v", s, n, p, err)
	}
	for _, bad := range []string{"", "a", "a/b", "a/t1", "a/tx/b", "/t1/b", "a/t-1/b", "a/t1x/b"} {
		if _, _, _, err := ParseTag(bad); err == nil {
			t.Errorf("ParseTag(%q) succeeded", bad)
		}
	}
}

func TestPhasesAddUpToLimbo(t *testing.T) {
	for _, d := range []Death{
		{PutNS: 1, FreeNS: 20, FreedNS: 25},
		{PutNS: 1, EnqueueNS: 2, RCUEnqueueNS: 2, RCUEndNS: 10, FreeNS: 20, FreedNS: 25},
		{PutNS: 1, EnqueueNS: 2, TasksTraceEndNS: 5, RCUEnqueueNS: 6, RCUEndNS: 10, FreeNS: 20, FreedNS: 25},
		{PutNS: 1, FreeNS: 20, FreeWaitNS: 3, FreedNS: 25},
		{PutNS: 1, EnqueueNS: 2, TasksTraceEndNS: 20, FreeNS: 20, FreedNS: 25}, // callback unseen
	} {
		phases := d.PhaseNS()
		var sum int64
		for _, p := range DeathPhases() {
			sum += phases[p]
		}
		if sum != phases[PhaseLimbo] || sum != 24 {
			t.Errorf("%+v: phases %v add up to %d", d, phases, sum)
		}
	}
	if _, ok := (Death{PutNS: 1, EnqueueNS: 2, RCUEndNS: 3, FreeNS: 3, FreedNS: 4}).PhaseNS()[PhaseQueue]; ok {
		t.Error("a queue that nobody saw is reported")
	}
}

func TestBalance(t *testing.T) {
	if err := (Trial{Puts: 6, Freed: 3, InFlight: 2, Lost: 1}).Balance(); err != nil {
		t.Error(err)
	}
	if err := (Trial{Puts: 6, Freed: 3, InFlight: 2}).Balance(); err == nil {
		t.Error("6 ≠ 3 + 2 was accepted")
	}
}

func FuzzDecodeRun(f *testing.F) {
	f.Add([]byte(`{"schema_version":1,"targets":[{}],"scenarios":[{"id":"a","trials":[{}]}]}`))
	f.Add([]byte(`{"schema_version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run, err := DecodeRun(data)
		runtime.ReadMemStats(&after)
		// Three bytes are a scenario, and what is not yet collected counts too.
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+2000*len(data)); got > limit {
			t.Errorf("%d bytes take %d in memory", len(data), got)
		}
		if err == nil && (run == nil || len(run.Targets) == 0) {
			t.Fatal("accepted a run without a target")
		}
	})
}

func FuzzDecodeDeaths(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "run")
	w, err := Create(dir)
	if err != nil {
		f.Fatal(err)
	}
	for _, d := range sampleDeaths() {
		if err := w.Death(&d); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Finish(sampleRun()); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, DeathsFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = DecodeDeaths(strings.NewReader(string(data)), func(d *Death) error {
			if d.PhaseNS() == nil {
				t.Error("no phases")
			}
			return nil
		})
	})
}

// TestErrorsNameTheRun: whoever reads an error of a run being written knows its
// directory, and nothing of the temporary one.
func TestErrorsNameTheRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	for name, write := range map[string]func(w *Writer) error{
		"deaths":     func(w *Writer) error { return w.Death(&Death{}) },
		"profile":    func(w *Writer) error { return w.Profile([]byte("x")) },
		"histograms": func(w *Writer) error { return w.Histogram("a/0/limbo", NewHistogram(), time.Now(), time.Now()) },
		"run.json":   func(w *Writer) error { return w.Finish(sampleRun()) },
	} {
		w, err := Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(w.tmp); err != nil {
			t.Fatal(err)
		}
		err = write(w)
		w.Abort()
		if err == nil || !strings.Contains(err.Error(), dir+"/") || strings.Contains(err.Error(), ".tmp-") || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
