// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
)

// TestVMRecordRate records 500 deaths a second for two minutes.
func TestVMRecordRate(t *testing.T) {
	t.Parallel()
	recordRate(t, 500, 2*time.Minute)
}

// recordRate records an agent that drops so many maps a second. All of them are accounted
// for, mapprof's memory stays as it is, and the run directory in its bounds: single
// deaths up to their limit, and a row for each phase and interval.
func recordRate(t *testing.T, perSecond int, d time.Duration) {
	t.Helper()
	limit := uint64(50 * perSecond)
	count := uint64(d.Seconds()) * uint64(perSecond)
	dir := filepath.Join(t.TempDir(), "run")
	// The guest's mapprof is what users have, without the tests.
	cmd := exec.CommandContext(t.Context(), builtMapprof(t), "record", "--offline", "--kernel", "6.12", "--timeout", (10 * d).String(),
		"--interval", "5s", "--deaths-limit", strconv.FormatUint(limit, 10), "-o", dir, "--",
		builtAgent(t), "-rate", strconv.Itoa(perSecond), "-count", strconv.FormatUint(count, 10))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := &run.Run.Scenarios[0].Trials[0]
	if err := tr.Balance(); err != nil || tr.Lost != 0 || tr.Puts != tr.Freed || tr.Freed < count || tr.Partial {
		t.Errorf("%v: %d puts, %d freed of %d, %d lost: %s", err, tr.Puts, tr.Freed, count, tr.Lost, results.LossText(tr.Loss))
	}
	// Single deaths end at the limit, and all figures go on.
	var lines uint64
	if err := run.Deaths(func(*results.Death) error { lines++; return nil }); err != nil || lines != limit || tr.DeathsNotKept != tr.Freed-limit {
		t.Errorf("%d lines, %d of %d deaths not kept: %v", lines, tr.DeathsNotKept, tr.Freed, err)
	}
	if n := sumOf(tr.Owners, func(*results.OwnerSum) bool { return true }); n != tr.Freed || tr.Phases[results.PhaseLimbo].N != tr.Freed {
		t.Errorf("%d deaths of owners, %d in limbo, of %d", n, tr.Phases[results.PhaseLimbo].N, tr.Freed)
	}
	var all int64
	for _, name := range results.Files() {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all += info.Size()
	}
	rows := run.Run.Files[results.HistogramsFile].Count
	if most := int64(limit*64 + rows*4<<10 + 1<<20); all > most {
		t.Errorf("the directory has %d bytes, more than %d: %+v", all, most, run.Run.Files)
	}
	early, late := drift(t, tr.RSS)
	t.Logf("%d deaths in %v, %d rows, %d bytes; mapprof had %.1f MiB, then %.1f MiB: %+v", tr.Freed, time.Duration(tr.DurationNS),
		rows, all, float64(early)/(1<<20), float64(late)/(1<<20), run.Run.Files)
	if late > early+early/20 {
		t.Errorf("mapprof had %d bytes resident, and later %d", early, late)
	}
}

// warmUp is how long the heap takes to come to its size: what is bounded fills, and the
// garbage collector gets its share.
const warmUp = time.Minute

// drift is the median of what was resident in the first third after the warm-up, and in
// the last.
func drift(t *testing.T, points []results.RSSPoint) (early, late uint64) {
	t.Helper()
	i := slices.IndexFunc(points, func(p results.RSSPoint) bool { return p.AtNS > points[0].AtNS+warmUp.Nanoseconds() })
	if i < 0 || len(points)-i < 30 {
		t.Fatalf("mapprof looked %d times at its memory, from then on %d", len(points), i)
	}
	points = points[i:]
	median := func(points []results.RSSPoint) uint64 {
		bytes := make([]uint64, len(points))
		for i, p := range points {
			bytes[i] = p.Bytes
		}
		slices.Sort(bytes)
		return bytes[len(bytes)/2]
	}
	third := len(points) / 3
	return median(points[:third]), median(points[2*third:])
}
