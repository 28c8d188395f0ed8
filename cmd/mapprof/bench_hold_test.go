// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// TestCheckHolds: the calibration must be able to fail.
func TestCheckHolds(t *testing.T) {
	const ms = int64(time.Millisecond)
	base := holdRow{Strategy: "rcu"}.of(results.PhaseRCUGP, nil, []int64{10 * ms, 14 * ms, 20 * ms, 22 * ms}, false)
	held := []int64{30 * ms, 30 * ms, 31 * ms, 32 * ms}
	row := func(strategy, reader string, measured ...int64) holdRow {
		for i := range measured {
			measured[i] *= ms
		}
		return holdRow{Strategy: strategy, Reader: reader, Length: 30 * time.Millisecond}.of(results.PhaseRCUGP, held, measured, strategy == reader)
	}
	baseTasks := base
	baseTasks.Strategy = "tasks-trace"
	for name, tt := range map[string]struct {
		row    holdRow
		want   string // in the error; empty: none
		within string // in the table
	}{
		"as it must be":           {row("rcu", "rcu", 40, 45, 50, 90), "", "| 0 | yes |"},
		"shorter than the hold":   {row("rcu", "rcu", 40, 29, 50, 50), "1 of 4 are shorter", "| 1 | yes |"},
		"shorter than it was":     {row("rcu", "rcu", 40, 45, 50, 31), "shorter than the hold", "| 0 | yes |"},
		"too much more":           {row("rcu", "rcu", 60, 60, 90, 190), "beyond", "no: median"},
		"a look later":            {row("tasks-trace", "tasks-trace", 60, 60, 85, 85), "", "no: median"},
		"many looks later":        {row("tasks-trace", "tasks-trace", 60, 130, 190, 190), "beyond", "no: median"},
		"a reader of other kind":  {row("rcu", "tasks-trace", 10, 14, 15, 20), "", "is not waited for"},
		"of other kind, and seen": {row("rcu", "tasks-trace", 40, 40, 45, 50), "not one that counts", "is not waited for"},
	} {
		rows := []holdRow{base, baseTasks, tt.row}
		err := checkHolds(rows)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		var text strings.Builder
		writeHolds(&text, target.Outcome{}, rows)
		if !strings.Contains(text.String(), tt.within) {
			t.Errorf("%s: %q is not in\n%s", name, tt.within, text.String())
		}
	}
}

// TestWatchedRates: ratio and error by hand.
func TestWatchedRates(t *testing.T) {
	r := watchedResult{
		Without: []watchedRound{{Ops: 100, DurationNS: 1e9, MedianNS: 5}, {Ops: 100, DurationNS: 1e9, MedianNS: 7}},
		With:    []watchedRound{{Ops: 100, DurationNS: 2e9, MedianNS: 9, Puts: 100, Lost: 1}, {Ops: 100, DurationNS: 2e9, MedianNS: 9, Puts: 100}},
	}.rates(2)
	if r.PerSecond != [2]float64{200, 100} || r.Ratio != 0.5 || r.Error != 0 || r.Puts != 200 || r.Lost != 1 || r.MedianNS != [2]int64{7, 9} {
		t.Errorf("%+v", r)
	}
}
