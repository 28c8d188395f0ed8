// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// traceRun writes a run of two trials with every path that a death can take.
func traceRun(t *testing.T, keepDeaths bool) *results.Dir {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	stack := []results.Frame{{Function: "bpf_map_put"}, {Function: "bpf_fd_array_map_update_elem"}}
	run := &results.Run{Tool: results.Tool{Name: "mapprof", Version: "v1"}, Targets: []results.Target{{Kernel: results.Kernel{Release: "6.12"}}},
		Stacks: map[string][]results.Frame{results.StackID(stack): stack}}
	rng := rand.New(rand.NewPCG(3, 4))
	sc := results.Scenario{ID: "churn/6.12/rcu", Kernel: "6.12", Phases: map[string]results.Stats{}}
	for trial := range 2 {
		deaths := traceDeaths(rng, sc.ID, trial, results.StackID(stack))
		dists, err := analyze.DistributionsOf(deaths)
		if err != nil {
			t.Fatal(err)
		}
		tr := results.Trial{Index: trial, Phases: map[string]results.Stats{}}
		for phase, d := range dists {
			tr.Phases[phase] = d.Stats()
		}
		tr.Limbo, tr.Timeline = analyze.LimboOf(analyze.SpansOf(deaths, nil, 0))
		sc.Trials = append(sc.Trials, tr)
		if !keepDeaths {
			continue
		}
		for i := range deaths {
			if err := w.Death(&deaths[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	run.Scenarios = []results.Scenario{sc}
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
	dir, err := results.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// traceDeaths are in the order in which their maps were freed, or almost.
func traceDeaths(rng *rand.Rand, scenario string, trial int, stack string) []results.Death {
	out := make([]results.Death, 400)
	for i := range out {
		d := results.Death{Scenario: scenario, Trial: trial, MapID: uint32(i), MapName: "inner", MemBytes: 392, Stack: stack,
			PutNS: int64(1+trial)*1_000_000_007 + int64(i)*1_000_003}
		at := d.PutNS
		if i%4 > 0 {
			d.EnqueueNS = at + rng.Int64N(9_999)
			at = d.EnqueueNS
		}
		if i%4 == 2 || i%4 == 3 {
			d.TasksTraceEndNS = at + rng.Int64N(160_000_001)
			at = d.TasksTraceEndNS
		}
		if i%4 == 1 || i%4 == 3 {
			d.RCUEnqueueNS, d.RCUEndNS = at, at+rng.Int64N(15_000_001)
			at = d.RCUEndNS
		}
		if i%5 == 0 { // of a recording
			d.Owner = &results.Owner{OuterName: "outer\x1b[2J", Creator: "agent", Container: "c1", PinnedBy: []string{"p of x", "q"}}
		}
		d.FreeNS = at + rng.Int64N(300_000)*int64(i%3) // some have no queue
		d.FreedNS = d.FreeNS + rng.Int64N(12_345)
		out[i] = d
	}
	slices.SortFunc(out, func(a, b results.Death) int { return int(a.FreedNS - b.FreedNS) })
	for i := 7; i < len(out); i += 31 { // two CPUs
		out[i-1], out[i] = out[i], out[i-1]
	}
	return out
}

// checkedEvent is an event as the format's description has it.
type checkedEvent struct {
	Name string                     `json:"name"`
	Cat  *string                    `json:"cat"`
	Ph   string                     `json:"ph"`
	Ts   *json.Number               `json:"ts"`
	Dur  *json.Number               `json:"dur"`
	Pid  *int                       `json:"pid"`
	Tid  *int                       `json:"tid"`
	Args map[string]json.RawMessage `json:"args"`
}

// ns returns microseconds as nanoseconds. It fails for parts of one.
func ns(t *testing.T, n json.Number) int64 {
	t.Helper()
	r, ok := new(big.Rat).SetString(n.String())
	if !ok || !r.Mul(r, big.NewRat(1000, 1)).IsInt() || r.Sign() < 0 || !r.Num().IsInt64() {
		t.Fatalf("time %s isn't whole nanoseconds from 0 on", n)
	}
	return r.Num().Int64()
}

// parseTrace checks a trace against the Trace Event Format: its JSON object
// form, and for each phase the fields that it must, may and may not have.
func parseTrace(t *testing.T, data []byte) []checkedEvent {
	t.Helper()
	var top struct {
		TraceEvents     []checkedEvent  `json:"traceEvents"`
		DisplayTimeUnit string          `json:"displayTimeUnit"`
		OtherData       json.RawMessage `json:"otherData"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&top); err != nil {
		t.Fatalf("the trace: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Error("something follows the trace")
	}
	if top.DisplayTimeUnit != "ns" && top.DisplayTimeUnit != "ms" {
		t.Errorf("displayTimeUnit %q", top.DisplayTimeUnit)
	}
	for i, e := range top.TraceEvents {
		if err := checkEvent(e); err != nil {
			t.Fatalf("event %d (%+v): %v", i, e, err)
		}
	}
	return top.TraceEvents
}

func checkEvent(e checkedEvent) error {
	if e.Name == "" || e.Pid == nil || e.Tid == nil {
		return errors.New("name, pid and tid are needed")
	}
	switch e.Ph {
	case "X":
		if e.Ts == nil || e.Dur == nil || e.Cat == nil {
			return errors.New("a complete event needs ts, dur and cat")
		}
	case "C":
		if e.Ts == nil || e.Dur != nil || len(e.Args) == 0 {
			return errors.New("a counter needs ts and args, and has no dur")
		}
		for k, v := range e.Args {
			var n uint64
			if json.Unmarshal(v, &n) != nil {
				return fmt.Errorf("counter %s is no number", k)
			}
		}
	case "M":
		want := map[string]string{"process_name": "name", "thread_name": "name", "process_sort_index": "sort_index", "thread_sort_index": "sort_index"}[e.Name]
		if want == "" || e.Args[want] == nil || e.Ts != nil {
			return errors.New("unknown metadata, or without its argument")
		}
	default:
		return fmt.Errorf("phase %q isn't one that is written", e.Ph)
	}
	return nil
}

func TestWriteTrace(t *testing.T) {
	dir := traceRun(t, true)
	var buf bytes.Buffer
	if err := WriteTrace(&buf, dir); err != nil {
		t.Fatal(err)
	}
	type lane struct{ pid, tid int }
	type span struct{ start, end int64 }
	deaths, last := map[lane]span{}, map[lane]int64{}
	sums := map[int]map[string]int64{1: {}, 2: {}}
	counters, named := map[string]int{}, map[lane]bool{}
	lanes, first := 0, int64(-1)
	owned := 0
	for _, e := range parseTrace(t, buf.Bytes()) {
		l := lane{*e.Pid, *e.Tid}
		switch {
		case e.Ph == "C":
			counters[e.Name]++
		case e.Name == "thread_name":
			named[l] = true
			lanes = max(lanes, l.tid)
		case e.Ph == "X":
			if !named[l] {
				t.Fatalf("a slice in lane %v, which has no name", l)
			}
			s := span{start: ns(t, *e.Ts)}
			s.end = s.start + ns(t, *e.Dur)
			if first < 0 || s.start < first {
				first = s.start
			}
			if *e.Cat == results.PhaseLimbo {
				if string(e.Args["outer_name"]) == `"outer"` && string(e.Args["creator"]) == `"agent"` && string(e.Args["container"]) == `"c1"` && string(e.Args["pinned_by"]) == `"p of x, q"` {
					owned++
				}
				if s.start < deaths[l].end {
					t.Fatalf("%s begins at %d ns, before the slice before it in lane %v ends at %d", e.Name, s.start, l, deaths[l].end)
				}
				deaths[l], last[l] = s, s.start
				sums[l.pid][results.PhaseLimbo] += s.end - s.start
				continue
			}
			// A phase lies in its death, right after the phase before it.
			if s.start != last[l] || s.end > deaths[l].end {
				t.Fatalf("phase %s [%d, %d] of the death %v begins not at %d", e.Name, s.start, s.end, deaths[l], last[l])
			}
			last[l] = s.end
			sums[l.pid][e.Name] += s.end - s.start
		}
	}
	if owned != 160 {
		t.Errorf("%d deaths tell whose the map was, want every fifth of 800", owned)
	}
	if first != 0 {
		t.Errorf("the first put is at %d ns, want 0", first)
	}
	for i, tr := range dir.Run.Scenarios[0].Trials {
		for phase, stats := range tr.Phases {
			if got := sums[i+1][phase]; got != stats.SumNS {
				t.Errorf("trial %d %s: slices sum to %d ns, the histogram to %d", i, phase, got, stats.SumNS)
			}
		}
		if len(sums[i+1]) != len(tr.Phases) {
			t.Errorf("trial %d has slices of %d phases, want %d", i, len(sums[i+1]), len(tr.Phases))
		}
	}
	points := len(dir.Run.Scenarios[0].Trials[0].Timeline) + len(dir.Run.Scenarios[0].Trials[1].Timeline)
	if counters["maps in limbo"] != points || counters["bytes in limbo"] != points {
		t.Errorf("counters %v, want %d of each", counters, points)
	}
	if most := int(dir.Run.Scenarios[0].Trials[0].Limbo.PeakMaps); lanes > 2*most+2 {
		t.Errorf("%d lanes for at most %d maps at a time", lanes, most)
	}
}

func TestWriteTraceErrors(t *testing.T) {
	err := WriteTrace(io.Discard, traceRun(t, false))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "--no-deaths") {
		t.Errorf("without deaths: %v", err)
	}
	broken := errors.New("disk full")
	if err := WriteTrace(brokenPipe{broken}, traceRun(t, true)); !errors.Is(err, broken) {
		t.Errorf("a writer that fails: %v", err)
	}
	x, err := Find("trace")
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := x.Write(traceRun(t, true), &buf); err != nil {
		t.Fatal(err)
	}
	parseTrace(t, buf.Bytes())
}

type brokenPipe struct{ err error }

func (w brokenPipe) Write([]byte) (int, error) { return 0, w.err }

func TestSlicesOf(t *testing.T) {
	for _, c := range []struct {
		name string
		d    results.Death
		want string // phases, or the error
	}{
		{"immediate", results.Death{PutNS: 10, FreeNS: 30, FreedNS: 40}, "queue 10-30 free 30-40"},
		{"no queue", results.Death{PutNS: 10, FreeNS: 10, FreedNS: 40}, "free 10-40"},
		{"rcu", results.Death{PutNS: 10, EnqueueNS: 11, RCUEnqueueNS: 11, RCUEndNS: 20, FreeNS: 25, FreedNS: 26}, "enqueue 10-11 rcu_gp 11-20 queue 20-25 free 25-26"},
		{"both", results.Death{PutNS: 10, EnqueueNS: 11, TasksTraceEndNS: 15, RCUEnqueueNS: 15, RCUEndNS: 20, FreeNS: 20, FreedNS: 26}, "enqueue 10-11 tasks_trace_gp 11-15 rcu_gp 15-20 free 20-26"},
		{"backwards", results.Death{PutNS: 10, EnqueueNS: 9, FreeNS: 20, FreedNS: 26}, "phase enqueue ends 1 ns before it begins"},
		{"freed before", results.Death{PutNS: 10, FreeNS: 20, FreedNS: 19}, "phase free ends 1 ns before it begins"},
	} {
		list, err := slicesOf(&c.d)
		var got []string
		for _, s := range list {
			got = append(got, fmt.Sprintf("%s %d-%d", s.phase, s.start, s.end))
		}
		if err != nil {
			if !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
		} else if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
}
