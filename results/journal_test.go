// SPDX-License-Identifier: Apache-2.0

package results

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// interval writes an interval of a recording: some deaths, and a row of their limbo.
func interval(t *testing.T, w *Writer, n int, end int64) {
	t.Helper()
	h := NewHistogram()
	for i := range n {
		d := sampleDeaths()[0]
		d.MapID = uint32(i)
		if err := w.Death(&d); err != nil {
			t.Fatal(err)
		}
		if err := h.RecordValue(1 + int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Histogram(Tag("churn/6.12.117/rcu", 0, PhaseLimbo), h, time.Unix(end-1, 0), time.Unix(end, 0)); err != nil {
		t.Fatal(err)
	}
}

// journalRun is the run of so many deaths.
func journalRun(n uint64) *Run {
	run := sampleRun()
	run.IntervalNS = 1e9
	limbo := Stats{N: n, P50NS: 1, P90NS: 1, P99NS: 1, MinNS: 1, MaxNS: 1, MeanNS: 1, SumNS: int64(n)}
	s := &run.Scenarios[0]
	s.Phases = map[string]Stats{PhaseLimbo: limbo}
	s.Trials[0].Phases, s.Trials[0].Puts, s.Trials[0].Freed, s.Trials[0].Expected = s.Phases, n, n, n
	run.Partial, run.PartialReason = true, "the recording had not ended"
	return run
}

// holds tells of an opened run how many deaths and intervals it has, and its profile.
func holds(t *testing.T, dir string) (deaths int, limbo int64, rows int, profile string) {
	t.Helper()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Deaths(func(*Death) error { deaths++; return nil }); err != nil {
		t.Fatal(err)
	}
	err = d.EachHistogram(func(h *hdrhistogram.Histogram) error {
		if h.StartTimeMs() != 0 {
			t.Errorf("the whole begins at %d ms", h.StartTimeMs())
		}
		limbo += h.TotalCount()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	log, err := d.OpenHistograms()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := DecodeHistograms(log, func(*hdrhistogram.Histogram) error { rows++; return nil }); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(d.ProfilePath())
	if err != nil {
		t.Fatal(err)
	}
	return deaths, limbo, rows, string(data)
}

// copyDir is what a kill leaves: the directory as it is.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestJournal: from its first checkpoint a recording's directory is a run as of its
// last one, whatever has been written since, and whichever file was being replaced.
func TestJournal(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "run")
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.KeepDeaths(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for i, n := range []int{3, 5, 4} {
		interval(t, w, n, int64(i)+1)
		total += n
		profile := string(rune('A' + i))
		if err := w.Checkpoint(journalRun(uint64(total)), []byte(profile)); err != nil {
			t.Fatal(err)
		}
		interval(t, w, 2, int64(i)+2) // of the next one
		total += 2
		if err := w.hlog.Flush(); err != nil {
			t.Fatal(err)
		}
		if deaths, limbo, rows, p := holds(t, dir); deaths != total-2 || limbo != int64(total)-2 || rows != 2*i+1 || p != profile {
			t.Errorf("checkpoint %d: %d deaths, %d in %d rows, profile %s; want %d", i, deaths, limbo, rows, p, total-2)
		}
		if _, err := os.Stat(filepath.Join(dir, JournalFile)); err != nil {
			t.Error(err)
		}
		if run, err := ReadRun(dir); err != nil || !run.Journal || !run.Partial {
			t.Errorf("%v: %+v", err, run)
		}
		// Cut off after the profile of the next one was written, and after run.json was.
		cut := copyDir(t, dir)
		if err := os.WriteFile(filepath.Join(cut, ProfileFile+nextSuffix), []byte("later"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, _, p := holds(t, cut); p != profile {
			t.Errorf("profile %s", p)
		}
		if err := os.Rename(filepath.Join(cut, ProfileFile), filepath.Join(cut, ProfileFile+nextSuffix)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cut, ProfileFile), []byte("earlier"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, _, p := holds(t, cut); p != profile {
			t.Errorf("profile %s", p)
		}
	}
	// Less than what belongs to it is damage.
	cut := copyDir(t, dir)
	for _, name := range []string{DeathsFile, HistogramsFile} {
		if err := os.Truncate(filepath.Join(cut, name), 10); err != nil {
			t.Fatal(err)
		}
		if d, err := Inspect(cut); err != nil || d.Damage(name) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Who comes later doesn't remove it, and can't write into it.
	if other, err := Create(filepath.Join(parent, "other")); err != nil {
		t.Error(err)
	} else {
		other.Abort()
	}
	if _, err := Create(dir); err == nil {
		t.Error("a run was begun in a journal")
	}
	run := journalRun(uint64(total))
	run.Partial, run.PartialReason = false, ""
	if err := w.Profile([]byte("last")); err != nil {
		t.Fatal(err)
	}
	killed := copyDir(t, dir)
	if _, _, _, p := holds(t, killed); p != "C" {
		t.Errorf("profile %s", p)
	}
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
	if deaths, limbo, _, p := holds(t, dir); deaths != total || limbo != int64(total) || p != "last" {
		t.Errorf("at the end: %d deaths, %d in rows, profile %s", deaths, limbo, p)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	want := Files()
	slices.Sort(want)
	if err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("left: %v, want %v: %v", names, want, err)
	}
}

// TestJournalIsLeft: a recording that is given up leaves what its last checkpoint made.
func TestJournalIsLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	interval(t, w, 3, 1)
	if err := w.Checkpoint(journalRun(3), []byte("A")); err != nil {
		t.Fatal(err)
	}
	interval(t, w, 2, 2)
	w.Abort()
	if deaths, limbo, rows, _ := holds(t, dir); deaths != 3 || limbo != 3 || rows != 1 {
		t.Errorf("%d deaths, %d in %d rows", deaths, limbo, rows)
	}
}

// TestIntervalsAreOfOneTrial: rows of one tag add up where the run has intervals, and
// are those of one trial, one after the other.
func TestIntervalsAreOfOneTrial(t *testing.T) {
	for _, c := range []struct {
		tags []string
		ns   int64
		ok   bool
	}{
		{[]string{"s/t0/limbo", "s/t0/free", "s/t0/limbo", "s/t1/limbo", "s/t1/limbo"}, 1e9, true},
		{[]string{"s/t0/limbo", "s/t1/limbo", "s/t0/limbo"}, 1e9, false},
		{[]string{"s/t0/limbo", "s/t0/limbo"}, 0, false},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		w, err := Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, tag := range c.tags {
			h := NewHistogram()
			if err := h.RecordValue(5); err != nil {
				t.Fatal(err)
			}
			if err := w.Histogram(tag, h, time.Unix(int64(i), 0), time.Unix(int64(i)+1, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(&Run{Targets: []Target{{}}, IntervalNS: c.ns}); err != nil {
			t.Fatal(err)
		}
		d, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][3]int64{}
		err = d.EachHistogram(func(h *hdrhistogram.Histogram) error {
			got[h.Tag()] = [3]int64{h.TotalCount(), h.StartTimeMs(), h.EndTimeMs()}
			return nil
		})
		if (err == nil) != c.ok {
			t.Errorf("%q of %d ns: %v", c.tags, c.ns, err)
		}
		want := map[string][3]int64{"s/t0/limbo": {2, 0, 3000}, "s/t0/free": {1, 1000, 2000}, "s/t1/limbo": {2, 3000, 5000}}
		if c.ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
