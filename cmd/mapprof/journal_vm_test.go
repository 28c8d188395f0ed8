// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/results"
)

// intervalsOf waits until a recording has kept so many intervals with deaths.
func intervalsOf(t *testing.T, v *victim, n int) *results.Trial {
	t.Helper()
	seen := map[uint64]bool{0: true}
	for limit := time.Now().Add(2 * time.Minute); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		run, err := results.ReadRun(v.dir())
		if err != nil {
			continue
		}
		tr := &run.Scenarios[0].Trials[0]
		if seen[tr.Freed] = true; len(seen) > n {
			return tr
		}
	}
	t.Fatalf("no %d intervals are kept:\n%s", n, v.text())
	return nil
}

// journalHolds opens what is left of a recording that was cut off: a partial run that
// balances, with a line for each death and a row of the histograms for each interval.
func journalHolds(t *testing.T, dir string, atLeast *results.Trial) *results.Run {
	t.Helper()
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := &d.Run.Scenarios[0].Trials[0]
	if err := engine.Verify(d.Run); err != nil || !d.Run.Partial || d.Run.PartialReason == "" || !tr.Partial || tr.Lost != 0 {
		t.Errorf("%v, partial %v: %s; %d lost", err, d.Run.Partial, d.Run.PartialReason, tr.Lost)
	}
	if tr.Freed < atLeast.Freed || tr.DurationNS < atLeast.DurationNS || tr.Freed == 0 {
		t.Errorf("%d deaths in %v, and there were %d in %v", tr.Freed, time.Duration(tr.DurationNS), atLeast.Freed, time.Duration(atLeast.DurationNS))
	}
	var lines uint64
	if err := d.Deaths(func(*results.Death) error { lines++; return nil }); err != nil || lines != tr.Freed {
		t.Errorf("%d lines of %d deaths: %v", lines, tr.Freed, err)
	}
	log, err := d.OpenHistograms()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var rows, values, ended int64
	err = results.DecodeHistograms(log, func(h *hdrhistogram.Histogram) error {
		if _, _, phase, _ := results.ParseTag(h.Tag()); phase != results.PhaseLimbo {
			return nil
		}
		// One begins after the one before ended, to the millisecond that the format has.
		if rows++; h.StartTimeMs() < ended-1 || h.EndTimeMs() <= h.StartTimeMs() {
			t.Errorf("row %d is from %d to %d ms, and the one before ended at %d", rows, h.StartTimeMs(), h.EndTimeMs(), ended)
		}
		ended, values = h.EndTimeMs(), values+h.TotalCount()
		return nil
	})
	if err != nil || rows < 2 || uint64(values) != tr.Freed {
		t.Errorf("%d rows with %d of %d deaths: %v", rows, values, tr.Freed, err)
	}
	t.Logf("%d deaths in %d intervals, %v: %s", tr.Freed, rows, time.Duration(tr.DurationNS), d.Run.PartialReason)
	return d.Run
}

// TestVMRecordIsKilled: when the recording mapprof, or its guest's QEMU, is killed, what
// there was at the end of the last interval is left, and read as a partial run.
func TestVMRecordIsKilled(t *testing.T) {
	t.Parallel()
	cache, bin, agent := ownCache(t), builtMapprof(t), builtAgent(t)
	record := func() *victim {
		return startCommand(t, bin, cache, "record", "--offline", "--interval", "1s", "--", agent, "-count", "1000000", "-pause", "2ms")
	}
	v := record()
	had := intervalsOf(t, v, 2)
	if _, err := os.Stat(filepath.Join(v.dir(), results.JournalFile)); err != nil {
		t.Error(err)
	}
	qemu := v.children(t)
	if err := v.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	v.ends(t)
	gone(t, qemu)
	journalHolds(t, v.dir(), had)

	second := record()
	second.reaches(t, "trial 0: measure")
	// It has swept what the first one left, and not its journal.
	if entries, err := os.ReadDir(v.parent); err != nil || len(entries) != 1 || entries[0].Name() != "run" {
		t.Errorf("left: %v, %v", entries, err)
	}
	if left := scratchLeft(t, cache); len(left) != 1 {
		t.Errorf("scratch: %v", left)
	}
	out, stderr := mapprofOK(t, exitOK, "report", v.dir())
	for _, want := range []string{"partial", "the recording had not ended", "outer map creator", "routes"} {
		if !strings.Contains(out+stderr, want) {
			t.Errorf("no %q in\n%s%s", want, out, stderr)
		}
	}
	had = intervalsOf(t, second, 2)
	for _, pid := range second.children(t) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if code := second.ends(t); code != exitFailure {
		t.Errorf("exit %d: %s", code, second.text())
	}
	run := journalHolds(t, second.dir(), had)
	if run.Journal || !strings.Contains(run.PartialReason, "0 of 1 trials") {
		t.Errorf("journal %v, %s", run.Journal, run.PartialReason)
	}
	entries, err := os.ReadDir(second.dir())
	if err != nil || len(entries) != len(results.Files()) || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == results.JournalFile }) {
		t.Errorf("left: %v, %v", entries, err)
	}
}
