// SPDX-License-Identifier: Apache-2.0

package gatetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/gate/selftest"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// madeUp gives every run a time of its own.
var madeUp atomic.Int64

// saveMadeUp writes a made-up run whose figures are factor times what they
// should be.
func saveMadeUp(t *testing.T, dir string, factor float64, change func(*results.Run)) {
	t.Helper()
	run := synthetic.Seeded(3, 0.0001, factor, results.ClockICount, uint64(1000*factor))
	run.Started = time.Unix(madeUp.Add(1), 0)
	run.Ended = run.Started.Add(time.Second)
	for i := range run.Scenarios[0].Trials {
		run.Scenarios[0].Trials[i].Expedited = 0 // updates wait for ticks
	}
	change(run)
	w, err := results.Create(dir)
	if err != nil {
		t.Error(err)
		return
	}
	defer w.Abort()
	if err := w.Finish(run); err != nil {
		t.Error(err)
	}
}

// TestSelfTest does a self-test whose runs are made up, well and badly.
func TestSelfTest(t *testing.T) {
	good := func(_ context.Context, run Run) error {
		factor := 1.0
		if run.Planted != nil {
			factor = 1.5
		}
		saveMadeUp(t, run.Dir, factor, func(r *results.Run) {
			maps.Copy(r.Scenarios[0].Params, run.Planted)
			s := &r.Scenarios[0]
			s.ID, s.Workload, s.Strategy.Requested = run.Workload+"/"+run.Strategy, run.Workload, run.Strategy
			if run.Strategy == results.StrategyImmediate {
				for i := range s.Trials {
					s.Trials[i].Paths = map[string]uint64{run.Strategy: s.Trials[i].Puts}
				}
				analyze.SumTrials(s)
			}
		})
		return nil
	}
	for name, c := range map[string]struct {
		run  func(context.Context, Run) error
		want string
		bad  string // the kind of pair that must not be right
	}{
		"good": {run: good},
		"blind": {bad: "delay in the workload", run: func(ctx context.Context, r Run) error {
			r.Planted = nil
			return good(ctx, r)
		}},
		"broken": {want: "the VM is on fire", run: func(context.Context, Run) error {
			return errors.New("the VM is on fire")
		}},
	} {
		s := &SelfTest{Workloads: Workloads(), Pairs: 2, Trials: 3, Synthetic: 10, Jobs: 2, Policy: gate.DefaultPolicy(), Dir: t.TempDir(),
			Run: c.run, OnPair: func(int, string) {}, OnWrongVerdict: func(string, *gate.Verdict) {}}
		rates, err := s.Do(t.Context())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if c.want != "" {
			continue
		}
		// Two made up, ten real, two drawn from each workload's, seven cut.
		if len(rates) != 25 {
			t.Errorf("%s: %d rates", name, len(rates))
		}
		for _, r := range rates {
			wrong := r.Hits() != r.Pairs
			if wrong != (c.bad != "" && r.Source == selftest.SourceReal && r.Want == gate.VerdictRegression) {
				t.Errorf("%s: %s", name, fmt.Sprintf("%+v", r))
			}
		}
	}
}

// TestSelfTestTakesItsTime: with time left there are more pairs than were asked
// for at least; without, just as many.
func TestSelfTestTakesItsTime(t *testing.T) {
	for _, c := range []struct {
		time time.Duration
		want int // groups of pairs, after which the test is ended
	}{{0, 1}, {time.Hour, 4}} {
		ctx, cancel := context.WithCancel(t.Context())
		groups := 0
		s := &SelfTest{Workloads: []string{"lookup"}, Pairs: 1, Time: c.time, Trials: 3, Synthetic: 1, Jobs: 1, Policy: gate.DefaultPolicy(), Dir: t.TempDir(),
			OnWrongVerdict: func(string, *gate.Verdict) {},
			OnPair: func(done int, _ string) {
				if groups = done; groups == 4 {
					cancel()
				}
			},
			Run: func(_ context.Context, r Run) error {
				saveMadeUp(t, r.Dir, 1, func(run *results.Run) { run.Scenarios[0].ID, run.Scenarios[0].Workload = r.Workload, r.Workload })
				return nil
			}}
		_, err := s.Do(ctx)
		cancel()
		if groups != c.want || (err != nil) != (c.want == 4) {
			t.Errorf("%v: %d groups of pairs, %v", c.time, groups, err)
		}
	}
}

// TestSelfTestMinutes has runs that take minutes of a clock that is made up: pairs go
// on for as long as another fits, and never longer than they may.
func TestSelfTestMinutes(t *testing.T) {
	const run = 2 * time.Minute
	for _, c := range []struct {
		workloads []string
		jobs      int
		time      time.Duration
		group     time.Duration // what a pair of every kind of them takes, so many at a time
	}{
		{[]string{"lookup"}, 1, time.Hour, 3 * run},
		{[]string{"lookup"}, 1, 61 * time.Minute, 3 * run},
		{[]string{"lookup", "tasks-trace"}, 1, time.Hour, 6 * run},
		{[]string{"lookup", "tasks-trace"}, 2, time.Hour, 3 * run},
		{Workloads(), 3, time.Hour, 7 * run}, // as long as churn's
	} {
		synctest.Test(t, func(t *testing.T) {
			var at time.Duration
			began, groups := time.Now(), 0
			s := &SelfTest{Workloads: c.workloads, Pairs: 1, Time: c.time, Trials: 3, Synthetic: 1, Jobs: c.jobs, Policy: gate.DefaultPolicy(), Dir: t.TempDir(),
				OnWrongVerdict: func(string, *gate.Verdict) {},
				OnPair:         func(done int, _ string) { groups, at = done, time.Since(began) },
				Run: func(_ context.Context, r Run) error {
					time.Sleep(run)
					saveMadeUp(t, r.Dir, 1, func(run *results.Run) { run.Scenarios[0].ID, run.Scenarios[0].Workload = r.Workload, r.Workload })
					return nil
				}}
			s.unchanged, s.rates, s.first = map[string]*results.Run{}, map[string]*selftest.Rate{}, map[string]string{}
			if err := s.realPairs(t.Context()); err != nil {
				t.Fatal(err)
			}
			if want := int(c.time/c.group) * len(c.workloads); groups != want || at > c.time || at+c.group <= c.time {
				t.Errorf("%q, %d at a time: %d groups of pairs, want %d, in %v of %v", c.workloads, c.jobs, groups, want, at, c.time)
			}
		})
	}
}

// TestSelfTestExpedited: where a run says that updates are expedited, it is made again at
// a rate, and so are all that are held against it.
func TestSelfTestExpedited(t *testing.T) {
	rates := map[string]string{} // by directory
	s := &SelfTest{Workloads: []string{"tasks-trace", "lookup"}, Pairs: 2, Trials: 3, Synthetic: 1, Jobs: 1, Policy: gate.DefaultPolicy(), Dir: t.TempDir(),
		OnPair: func(int, string) {}, OnWrongVerdict: func(string, *gate.Verdict) {},
		Run: func(_ context.Context, r Run) error {
			rates[filepath.Base(r.Dir)] = r.Params["rate"]
			saveMadeUp(t, r.Dir, 1, func(run *results.Run) {
				run.Scenarios[0].ID, run.Scenarios[0].Workload = r.Workload, r.Workload
				run.Scenarios[0].Trials[0].Expedited = 1
			})
			return nil
		}}
	if _, err := s.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	const closed, open = "", expeditedRate
	want := map[string]string{
		"tasks-trace-pair1-baseline": closed, "tasks-trace-pair1-baseline-at-rate": open,
		"tasks-trace-pair1-candidate0": open, "tasks-trace-pair1-candidate1": open,
		"tasks-trace-pair2-baseline": open, "tasks-trace-pair2-candidate0": open, "tasks-trace-pair2-candidate1": open,
		"lookup-pair1-baseline": closed, "lookup-pair1-candidate0": closed, "lookup-pair1-candidate1": closed,
		"lookup-pair2-baseline": closed, "lookup-pair2-candidate0": closed, "lookup-pair2-candidate1": closed,
	}
	if !maps.Equal(rates, want) {
		t.Errorf("runs at the rates %v, want %v", rates, want)
	}
}
