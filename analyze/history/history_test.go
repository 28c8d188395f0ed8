// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// nightly makes runs up, one a day, the newest of which are 10 % slower.
func nightly(n, slow int) []Input {
	var in []Input
	for i := range n {
		factor := 1.0
		if i >= n-slow {
			factor = 1.1
		}
		run := synthetic.Run(1, 0.001, factor, results.ClockICount, rand.New(rand.NewPCG(uint64(i), 5)))
		run.Started = time.Date(2026, 9, 1+i, 3, 0, 0, 0, time.UTC)
		in = append(in, Input{Name: fmt.Sprintf("run-%02d", i), Run: run})
	}
	return in
}

func mustHistory(t *testing.T, in []Input, o Options) *History {
	t.Helper()
	h, err := OfInputs(in, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func find(t *testing.T, h *History, figure string) *Series {
	t.Helper()
	for i := range h.Scenarios {
		for j := range h.Scenarios[i].Series {
			if s := &h.Scenarios[i].Series[j]; s.Figure == figure {
				return s
			}
		}
	}
	t.Fatalf("no figure %s", figure)
	return nil
}

// TestHistory: runs given in any order are put in that of their start, the point
// is where the figures changed, and what else was new there is named.
func TestHistory(t *testing.T) {
	in := nightly(20, 8)
	for i := 12; i < 20; i++ {
		in[i].Run.Targets[0].Kernel.Release = "6.12.9"
		in[i].Run.Targets[0].QEMU = "9.0"
	}
	in[15].Run.Tool.Version = "v2"
	shuffled := make([]Input, len(in))
	for to, from := range rand.New(rand.NewPCG(1, 1)).Perm(len(in)) {
		shuffled[to] = in[from]
	}
	h := mustHistory(t, shuffled, Options{})
	for i, r := range h.Runs {
		if r.Name != in[i].Name {
			t.Errorf("run %d is %s", i, r.Name)
		}
	}
	s := find(t, h, "limbo/p50")
	if len(s.Values) != 20 || len(s.Points) != 1 {
		t.Fatalf("%d values, points %+v", len(s.Values), s.Points)
	}
	p := s.Points[0]
	if p.Run != 12 || p.At != 12 || p.Relative == nil || math.Abs(*p.Relative-0.1) > 0.005 || p.Effect != compare.EffectWorse || p.P > Alpha {
		t.Errorf("point %+v", p)
	}
	// The runs since the change, which scatter by 0.1 %, and not those before it.
	if s.Range == nil || *s.Range < 0.0005 || *s.Range > 0.008 {
		t.Errorf("range %v", s.Range)
	}
	if got := strings.Join(h.Runs[12].Changed, "; "); got != "kernel synthetic → 6.12.9; QEMU none → 9.0" {
		t.Errorf("to blame: %s", got)
	}
	if h.Runs[13].Changed != nil || len(h.Runs[15].Changed) != 1 {
		t.Errorf("changed: %v, %v", h.Runs[13].Changed, h.Runs[15].Changed)
	}
	changes := h.Changes()
	if len(changes) != 1 || changes[0].Run != 12 || len(changes[0].Figures) < 10 {
		t.Errorf("changes: %+v", changes)
	}
	if h.Tested != len(h.Scenarios[0].Series) {
		t.Errorf("%d tested of %d", h.Tested, len(h.Scenarios[0].Series))
	}
	if _, err := json.Marshal(h); err != nil {
		t.Error(err)
	}
}

// TestEffect: a figure of which more is better gets worse when it falls.
func TestEffect(t *testing.T) {
	in := nightly(20, 10)
	for i := range in {
		s := &in[i].Run.Scenarios[0]
		for name, m := range s.Trials[0].Metrics {
			m.Better = compare.BetterHigher
			s.Trials[0].Metrics[name] = m
		}
	}
	h := mustHistory(t, in, Options{})
	if p := find(t, h, "lookup.syscall/mean").Points; len(p) != 1 || p[0].Effect != compare.EffectBetter {
		t.Errorf("points %+v", p)
	}
}

// TestOptions: labels name runs in the order that they are given in, and a
// change below the threshold is none.
func TestOptions(t *testing.T) {
	in := nightly(20, 10)
	if p := find(t, mustHistory(t, in, Options{Threshold: 0.2}), "limbo/p50").Points; p != nil {
		t.Errorf("points under the threshold: %+v", p)
	}
	in[0], in[19] = in[19], in[0]
	in[0].Label = "first"
	for _, sc := range mustHistory(t, in, Options{Figure: "limbo/p50"}).Scenarios {
		if len(sc.Series) != 1 || sc.Series[0].Figure != "limbo/p50" {
			t.Errorf("the history of one figure has %d series of %s", len(sc.Series), sc.Name)
		}
	}
	h := mustHistory(t, in, Options{KeepOrder: true})
	if h.Runs[0].Text() != "first" || h.Runs[0].Name != "run-19" {
		t.Errorf("first is %+v", h.Runs[0])
	}
	for _, c := range []struct {
		o    Options
		runs int
		ok   bool
	}{{Options{}, 0, false}, {Options{}, 1, true}, {Options{Labels: []string{"a"}}, 2, false}, {Options{Labels: []string{"a", "b"}}, 2, true},
		{Options{Threshold: -1}, 1, false}, {Options{Threshold: math.NaN()}, 1, false}} {
		if err := c.o.Check(c.runs); (err == nil) != c.ok {
			t.Errorf("%+v of %d: %v", c.o, c.runs, err)
		}
	}
}

// TestScenarios: what measures something else is another scenario, a new kernel
// is the same, and several kernels of one run are told apart by their series.
func TestScenarios(t *testing.T) {
	in := nightly(4, 0)
	in[1].Run.Scenarios[0].Kernel = "6.13.0"
	in[2].Run.Scenarios[0].Params = map[string]string{"slots": "7"}
	in[3].Run.Targets[0].Clock = results.ClockWall
	h := mustHistory(t, in, Options{})
	var names []string
	for _, sc := range h.Scenarios {
		names = append(names, fmt.Sprintf("%s: %d", sc.Name, len(sc.Series[0].Values)))
	}
	want := []string{"synthetic rcu · vm (tcg) · icount clock · 1 CPU · 0 MiB · slots=: 2",
		"synthetic rcu · vm (tcg) · icount clock · 1 CPU · 0 MiB · slots=7: 1", "synthetic rcu · vm (tcg) · wall clock · 1 CPU · 0 MiB: 1"}
	if fmt.Sprint(names) != fmt.Sprint(want) {
		t.Errorf("scenarios %q, want %q", names, want)
	}

	in = nightly(3, 0)
	for i := range in {
		run := in[i].Run
		run.Scenarios = append(run.Scenarios, run.Scenarios[0])
		run.Scenarios[0].Kernel, run.Scenarios[1].Kernel = fmt.Sprintf("6.1.%d", i), fmt.Sprintf("6.12.%d", i)
	}
	h = mustHistory(t, in, Options{})
	if len(h.Scenarios) != 2 || !strings.HasPrefix(h.Scenarios[0].Name, "synthetic rcu 6.1 ") || !strings.HasPrefix(h.Scenarios[1].Name, "synthetic rcu 6.12 ") ||
		len(h.Scenarios[0].Series[0].Values) != 3 {
		t.Errorf("scenarios %+v", h.Scenarios)
	}
}

// TestWarnings: nothing vanishes silently.
func TestWarnings(t *testing.T) {
	in := nightly(4, 0)
	for i := 2; i < 4; i++ {
		delete(in[i].Run.Scenarios[0].Trials[0].Phases, results.PhaseQueue)
	}
	in[1].Run.Partial = true
	in[2].Run.Loss = map[string]uint64{"stack": 3}
	got := strings.Join(mustHistory(t, in, Options{}).Warnings, "\n")
	for _, want := range []string{"queue/p50 is absent since run-02", "run-01 is partial", "run-02 lost events, and its figures may be off: stack 3"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	in = nightly(4, 0)
	in[3].Run.Scenarios[0].Strategy.Requested = "sync"
	if got := strings.Join(mustHistory(t, in, Options{}).Warnings, "\n"); !strings.Contains(got, "rcu · vm (tcg) · icount clock · 1 CPU · 0 MiB is absent since run-03") {
		t.Errorf("a scenario vanished: %s", got)
	}
	// Two workloads in turns: the one that isn't in the newest run has not gone.
	in = nightly(6, 0)
	for i := range in {
		if i%2 == 1 {
			in[i].Run.Scenarios[0].Workload = "other"
		}
	}
	if got := mustHistory(t, in, Options{}).Warnings; got != nil {
		t.Errorf("workloads in turns: %q", got)
	}
	in = nightly(4, 0)
	in[1].Run.Scenarios[0].Trials[0].Phases[results.PhaseLimbo] = results.Stats{N: 1, P50NS: 9, P90NS: 1}
	if _, err := OfInputs(in, Options{}); err == nil || !strings.Contains(err.Error(), "run-01") {
		t.Errorf("a run whose quantiles aren't in order: %v", err)
	}
}
