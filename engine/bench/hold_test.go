// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/hold"
)

// TestCheckHolds: the calibration must be able to fail.
func TestCheckHolds(t *testing.T) {
	const ms = int64(time.Millisecond)
	base := holdRow{Strategy: "rcu", Phase: results.PhaseRCUGP}.notHeld(nil, []int64{10 * ms, 14 * ms, 20 * ms, 22 * ms})
	held := []int64{30 * ms, 30 * ms, 31 * ms, 32 * ms}
	// The operations wait for 1 ms before that is seen.
	row := func(looked []int64, measured ...int64) holdRow {
		left, ends := make([]int64, 4), make([]int64, 4)
		for i := range measured {
			measured[i] *= ms
			start := int64(i) * 1000 * ms
			left[i], ends[i] = start+ms+held[i], start+measured[i]
		}
		for i := range looked {
			looked[i] *= ms
		}
		r := holdRow{Strategy: "rcu", Reader: "rcu", Length: 30 * time.Millisecond, Phase: results.PhaseRCUGP}
		return r.heldBy(held, left, measured, ends, looked)
	}
	other := func(measured ...int64) holdRow {
		for i := range measured {
			measured[i] *= ms
		}
		r := holdRow{Strategy: "rcu", Reader: "tasks-trace", Length: 30 * time.Millisecond, Phase: results.PhaseRCUGP}
		return r.notHeld(held, measured)
	}
	for name, tt := range map[string]struct {
		row    holdRow
		want   string // in the error; empty: none
		within string // in the table
	}{
		"as it must be":           {row(nil, 40, 45, 50, 90), "", "| 9.0 / 18.0 / 57.0 | – | 0 | yes |"},
		"shorter than the hold":   {row(nil, 40, 29, 50, 50), "1 of 4 are shorter", "| 1 | yes |"},
		"shorter than it was":     {row(nil, 40, 45, 50, 31), "1 of 4 are shorter", "| 1 | yes |"},
		"ends before the reader":  {row(nil, 40, 45, 50, 32), "0 of 4 are shorter", "| 0 | yes |"},
		"half too much more":      {row(nil, 40, 45, 90, 90), "beyond", "| 0 | no: third quartile 57.0 |"},
		"looked at late":          {row([]int64{40, 40, 40, 40}, 80, 85, 90, 90), "", "| 40.0 / 40.0 / 40.0 | 0 | yes, less that |"},
		"later than the look":     {row([]int64{20, 20, 20, 20}, 80, 85, 90, 90), "beyond", "| 20.0 / 20.0 / 20.0 | 0 | no: third quartile 37.0 |"},
		"a reader of other kind":  {other(10, 14, 15, 20), "", "is not waited for"},
		"of other kind, and seen": {other(40, 40, 45, 50), "not one that counts", "is not waited for"},
	} {
		rows := []holdRow{base, tt.row}
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

// TestLooks: a look is taken off only where the kernel has to look, and only
// one between the reader's end and the phase's.
func TestLooks(t *testing.T) {
	for _, tt := range []struct {
		attached []string
		want     bool
	}{
		{[]string{"call_srcu"}, true}, {[]string{"call_srcu", "call_rcu_tasks_trace"}, false}, {[]string{"call_rcu_tasks_trace"}, false}, {nil, false},
	} {
		tr := &trial.Measurement{Probes: []probes.Attachment{{Function: "call_srcu"}, {Function: "call_rcu_tasks_trace"}}}
		for _, f := range tt.attached {
			tr.Probes = append(tr.Probes, probes.Attachment{Function: f, Mechanism: "fentry"})
		}
		if got := onSRCU(tr); got != tt.want {
			t.Errorf("%v: %v", tt.attached, got)
		}
	}
	calls := []ftraceCall{{AtNS: 5, Function: srcuLook}, {AtNS: 7, Function: "other"}, {AtNS: 9, Function: srcuLook}}
	if got := lookedAfter(calls, []int64{4, 5, 6, 6, 10}, []int64{99, 99, 99, 8, 99}); !slices.Equal(got, []int64{1, 0, 3, 0, 0}) {
		t.Errorf("%v", got)
	}
}

func TestParseFtrace(t *testing.T) {
	const head = "# tracer: function\n#\n# entries-in-buffer/entries-written: %s   #P:2\n#\n#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
	const line = " kworker/0:1: x-81      [000] d..1.     3.141592: call_rcu <-bpf_map_put\n"
	got, err := parseFtrace(strings.NewReader(fmt.Sprintf(head, "1/1") + line))
	if want := []ftraceCall{{3141592000, "call_rcu", "bpf_map_put"}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseFtrace(strings.NewReader(fmt.Sprintf(head, "1/20") + line)); err == nil || !strings.Contains(err.Error(), "kept 1 of 20") {
		t.Errorf("%v", err)
	}
}

// TestWatchedRates: ratio and error by hand.
func TestWatchedRates(t *testing.T) {
	r := watchedResult{
		Without: []watchedRound{{Ops: 100, DurationNS: 1e9, MedianNS: 5}, {Ops: 100, DurationNS: 1e9, MedianNS: 7}},
		With:    []watchedRound{{Ops: 100, DurationNS: 2e9, MedianNS: 9, Puts: 100, Lost: 1}, {Ops: 100, DurationNS: 2e9, MedianNS: 9, Puts: 100}},
	}.rates(2)
	if r.PerSecond != [2]float64{200, 100} || r.Ratio != 0.5 || r.Error != 0 || r.Puts != 200 || r.Lost != 1 || r.MedianNS != [2]int64{6, 9} {
		t.Errorf("%+v", r)
	}
}

// TestByOperation: operations with a reader and without take turns, and each
// has its own times.
func TestByOperation(t *testing.T) {
	tr := &trial.Measurement{
		Result: workloads.Result{
			HeldUntilNS: []int64{0, 130, 0, 330},
			Metrics:     map[string]workloads.Metric{hold.MetricName: {Values: []float64{20, 21}}},
		},
		Outcome: &collect.Outcome{Puts: 4},
		Waits:   []collect.Wait{{StartNS: 10, EndNS: 11}, {StartNS: 10, EndNS: 12}, {StartNS: 10, EndNS: 13}, {StartNS: 10, EndNS: 14}},
		Deaths: []results.Death{ // in the order of their ends
			{PutNS: 200, RCUEndNS: 207}, {PutNS: 0, RCUEndNS: 5}, {PutNS: 300, RCUEndNS: 338}, {PutNS: 100, RCUEndNS: 136},
		},
	}
	m, err := byOperation(tr, 4, results.StrategyRCU)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.held, []int64{0, 20, 0, 21}) || !slices.Equal(m.phase, []int64{5, 36, 7, 38}) || !slices.Equal(m.ends, []int64{5, 136, 207, 338}) {
		t.Errorf("%+v", m)
	}
	tr.Result.Metrics = nil
	if _, err := byOperation(tr, 4, results.StrategyRCU); err == nil {
		t.Error("readers without times are taken")
	}
	tr.Result.HeldUntilNS = nil
	if _, err := byOperation(tr, 4, results.StrategyRCU); err == nil {
		t.Error("ends of readers are missing, and nothing says so")
	}
}
