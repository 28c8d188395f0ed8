// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/results"
)

// forgedTrial is what was measured in a trial, before anything is derived.
type forgedTrial struct {
	deaths     []results.Death
	ops, waits []int64
	expedited  uint64
	nOps       uint64
	durationNS uint64
}

// forgedRun is a run from which everything is derived as the engine does it:
// whoever changes it changes histograms, deaths, profile, digests and sums alike.
type forgedRun struct {
	target    results.Target
	scenarios []*forgedScenario
}

type forgedScenario struct {
	strategy string
	trials   []*forgedTrial
}

// forge makes up what `mapprof run --strategy rcu,tasks-trace --clock icount
// --trials 3` measures: 300 operations of 12 ms, a death each.
func forge(seed uint64) *forgedRun {
	r := rand.New(rand.NewPCG(seed, 0x617474))
	near := func(ns float64) int64 { return int64(ns * (1 + 0.0002*r.NormFloat64())) }
	probe := func(name, function string) results.Probe {
		return results.Probe{Name: name, Function: function, Mechanism: "fentry", Required: name == "last put"}
	}
	run := &forgedRun{target: results.Target{Kind: "vm", Accel: "tcg", Clock: results.ClockICount, CPUs: 1, MemoryBytes: 1 << 30, QEMU: "7.2.22",
		Kernel: results.Kernel{Release: "6.12", Build: "#1 SMP", SHA256: "fd09"},
		Probes: []results.Probe{probe("last put", "bpf_map_put"), probe("enqueue", "call_rcu"), probe("enqueue", "call_rcu_tasks_trace"),
			probe("callback", "bpf_map_free_rcu_gp"), probe("free", "bpf_map_free_deferred"), probe("update wait", "synchronize_rcu")}}}
	for _, strategy := range []string{results.StrategyRCU, results.StrategyTasksTrace} {
		s := &forgedScenario{strategy: strategy}
		for trial := range 3 {
			t := &forgedTrial{nOps: 300, durationNS: uint64(near(3.6e9))}
			for op := range 300 {
				d := results.Death{Scenario: "churn/6.12/" + strategy, Trial: trial, Path: strategy, MapID: uint32(op + 1), MapType: "Array", MapName: "mp_inner",
					KeySize: 4, ValueSize: 8, MaxEntries: 16, MemBytes: 392, PutNS: 1e9 + int64(op)*12e6, Comm: "mapprof"}
				d.EnqueueNS = d.PutNS + near(577)
				end := d.EnqueueNS + near(11.95e6)
				if strategy == results.StrategyRCU {
					d.RCUEnqueueNS, d.RCUEndNS = d.EnqueueNS, end
				} else {
					end += int64(op%25) * 10e6
					d.TasksTraceEndNS = end
				}
				d.FreeNS = end + near(7e3)
				d.FreedNS = d.FreeNS + near(3e3)
				t.deaths = append(t.deaths, d)
				t.ops, t.waits = append(t.ops, near(11.99e6)), append(t.waits, near(11.96e6))
			}
			s.trials = append(s.trials, t)
		}
		run.scenarios = append(run.scenarios, s)
	}
	return run
}

// each changes every trial.
func (f *forgedRun) each(change func(t *forgedTrial)) {
	for _, s := range f.scenarios {
		for _, t := range s.trials {
			change(t)
		}
	}
}

// slowest lengthens the slowest share of all operations, waits and deaths.
func slowest(share, factor float64) func(t *forgedTrial) {
	return func(t *forgedTrial) {
		n := int(share * float64(len(t.ops)))
		for _, values := range [][]int64{t.ops, t.waits} {
			slices.Sort(values)
			for i := len(values) - n; i < len(values); i++ {
				values[i] = int64(float64(values[i]) * factor)
			}
		}
		slices.SortFunc(t.deaths, func(a, b results.Death) int { return int((a.FreedNS - a.PutNS) - (b.FreedNS - b.PutNS)) })
		for i := len(t.deaths) - n; i < len(t.deaths); i++ {
			d := &t.deaths[i]
			more := int64(float64(d.FreedNS-d.PutNS) * (factor - 1))
			if d.RCUEndNS > 0 {
				d.RCUEndNS += more
			}
			if d.TasksTraceEndNS > 0 {
				d.TasksTraceEndNS += more
			}
			d.FreeNS, d.FreedNS = d.FreeNS+more, d.FreedNS+more
		}
	}
}

// write derives a run directory.
func (f *forgedRun) write(t *testing.T, dir string) string {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	w, err := results.Create(dir)
	must(err)
	defer w.Abort()
	run := &results.Run{Tool: results.Tool{Name: "mapprof"}, Started: time.Unix(runsSaved.Add(1), 0), Targets: []results.Target{f.target}, Target: f.target}
	run.Ended = run.Started.Add(time.Minute)
	builder, summer := profile.NewBuilder(), analyze.NewSummer()
	for _, s := range f.scenarios {
		sc := results.Scenario{ID: "churn/6.12/" + s.strategy, Workload: "churn", Loop: results.LoopClosed, Kernel: "6.12",
			Params: map[string]string{"count": "300", "duration": "0s"}, Strategy: results.Strategy{Requested: s.strategy}}
		for i, ft := range s.trials {
			n := uint64(len(ft.deaths))
			tr := results.Trial{Index: i, Puts: n, Freed: n, Expected: n, Ops: ft.nOps, DurationNS: ft.durationNS, Phases: map[string]results.Stats{},
				Paths: map[string]uint64{}, Loss: map[string]uint64{}, Expedited: ft.expedited}
			dists, err := analyze.DistributionsOf(ft.deaths)
			must(err)
			for phase, values := range map[string][]int64{results.PhaseOp: ft.ops, results.PhaseUpdateWait: ft.waits} {
				for _, v := range values {
					if dists[phase] == nil {
						dists[phase] = analyze.NewDistribution()
					}
					must(dists[phase].Record(v))
				}
			}
			for phase, d := range dists {
				tr.Phases[phase] = d.Stats()
				must(errors.Join(summer.AddHistogram(sc.ID, phase, i, d.Histogram),
					w.Histogram(results.Tag(sc.ID, i, phase), d.Histogram, run.Started, run.Ended)))
			}
			for j := range ft.deaths {
				d := ft.deaths[j]
				d.Trial = i
				tr.Paths[d.Path]++
				must(errors.Join(builder.Add(&d), w.Death(&d)))
			}
			tr.Limbo, tr.Timeline = analyze.LimboOf(analyze.SpansOf(ft.deaths, nil, 0))
			sc.Trials = append(sc.Trials, tr)
		}
		run.Scenarios = append(run.Scenarios, sc)
	}
	must(summer.Finish(run))
	p, err := builder.Build(nil, profile.MetaOf(run))
	must(err)
	var gz bytes.Buffer
	must(errors.Join(profile.Write(&gz, p), w.Profile(gz.Bytes()), w.Finish(run)))
	return dir
}

// TestGateIsAttacked changes an unchanged candidate, consistently. Whatever got
// worse is a regression, whatever is absent or became something else is
// inconclusive, on either side; nothing passes.
func TestGateIsAttacked(t *testing.T) {
	work := t.TempDir()
	base := forge(1).write(t, filepath.Join(work, "base"))
	if code, out, _ := mapprof(t, "gate", "--baseline", base, "--candidate", forge(2).write(t, filepath.Join(work, "same"))); code != exitOK {
		t.Fatalf("the unchanged pair: exit code %d\n%s", code, out)
	}
	rcu, tasksTrace := func(f *forgedRun) *forgedScenario { return f.scenarios[0] }, func(f *forgedRun) *forgedScenario { return f.scenarios[1] }
	for i, c := range []struct {
		name   string
		attack func(f *forgedRun)
		code   int
		want   string
	}{
		{"p99 and max five times", func(f *forgedRun) { f.each(slowest(0.02, 5)) }, exitRegression, "op/p99 regression"},
		{"p90, p99 and max ten times, the mean 4.6", func(f *forgedRun) { f.each(slowest(0.4, 10)) }, exitRegression, "limbo/p90 regression"},
		{"eight times the bytes", func(f *forgedRun) {
			f.each(func(t *forgedTrial) {
				for i := range t.deaths {
					t.deaths[i].MemBytes *= 8
				}
			})
		}, exitRegression, "limbo/peak_bytes regression"},
		{"a phase is gone", func(f *forgedRun) {
			for _, t := range tasksTrace(f).trials {
				for i := range t.deaths {
					t.deaths[i].TasksTraceEndNS = 0
				}
			}
		}, exitInconclusive, "tasks_trace_gp is in the baseline and not in the candidate"},
		{"half of the deaths", func(f *forgedRun) { f.each(func(t *forgedTrial) { t.deaths = t.deaths[:150] }) },
			exitInconclusive, "deaths an operation: 1 in the baseline, 0.5 in the candidate"},
		{"half of the operations", func(f *forgedRun) {
			f.each(func(t *forgedTrial) {
				t.deaths, t.ops, t.waits, t.nOps, t.durationNS = t.deaths[:150], t.ops[:150], t.waits[:150], 150, t.durationNS/2
			})
		}, exitInconclusive, "has 150 operations, 300 were asked for"},
		{"three times the duration", func(f *forgedRun) { f.each(func(t *forgedTrial) { t.durationNS *= 3 }) }, exitRegression, "throughput/ops_per_s (ops/s) regression"},
		{"another strategy", func(f *forgedRun) {
			for _, t := range rcu(f).trials {
				for i := range t.deaths {
					d := &t.deaths[i]
					d.Path, d.EnqueueNS, d.RCUEnqueueNS, d.RCUEndNS = results.StrategyImmediate, 0, 0, 0
				}
			}
		}, exitInconclusive, "strategy rcu was observed in the baseline, immediate in the candidate"},

		{"one of 300 a hundred times", func(f *forgedRun) { f.each(slowest(0.004, 100)) }, exitRegression, "op/mean regression"},
		{"all two percent", func(f *forgedRun) { f.each(slowest(1, 1.02)) }, exitRegression, "update_wait/p50 regression"},
		{"a trial is gone", func(f *forgedRun) { rcu(f).trials = append(rcu(f).trials, rcu(forge(3)).trials...) },
			exitInconclusive, "the baseline has 3 trials, the candidate 6"},
		{"a scenario is gone", func(f *forgedRun) { f.scenarios = f.scenarios[:1] }, exitInconclusive, "has no counterpart in the"},
		{"a probe is a kprobe", func(f *forgedRun) { f.target.Probes[0].Mechanism = "kprobe" }, exitInconclusive, "bpf_map_put is probed by fentry in the baseline, by kprobe"},
		{"a probe is gone", func(f *forgedRun) { f.target.Probes[2].Mechanism = "" }, exitInconclusive, "call_rcu_tasks_trace is probed by fentry in the baseline, by none"},
		{"twice the deaths, of half the size", func(f *forgedRun) {
			f.each(func(t *forgedTrial) {
				for i := range t.deaths {
					t.deaths[i].MemBytes /= 2
				}
				t.deaths = append(t.deaths, t.deaths...)
			})
		}, exitInconclusive, "deaths an operation: 1 in the baseline, 2 in the candidate"},
		{"one death of ten went another way", func(f *forgedRun) {
			for _, t := range rcu(f).trials {
				for i := 0; i < 300; i += 10 {
					t.deaths[i].Path = "rcu+sync"
				}
			}
		}, exitInconclusive, "0 % of deaths went by rcu+sync in the baseline, 10 % in the candidate"},
		{"a trial has no update waits", func(f *forgedRun) { rcu(f).trials[1].waits = nil }, exitInconclusive, "update_wait is in 3 of the baseline's 3 trials, and in 2 of the candidate's 3"},
		{"the slower half of the waits is gone", func(f *forgedRun) {
			f.each(func(t *forgedTrial) { slices.Sort(t.waits); t.waits = t.waits[:150] })
		}, exitInconclusive, "values of update_wait an operation: 1 in the baseline, 0.5 in the candidate"},
		{"update waits are expedited", func(f *forgedRun) { f.each(func(t *forgedTrial) { t.expedited = 300 }) },
			exitInconclusive, "0 % of update waits were expedited in the baseline, 100 % in the candidate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := forge(uint64(10 + i))
			c.attack(f)
			dir := f.write(t, filepath.Join(work, fmt.Sprint(i)))
			check := func(baseline, candidate, want string) {
				code, out, errs := mapprof(t, "gate", "--baseline", baseline, "--candidate", candidate)
				if text := strings.Join(strings.Fields(out), " "); code != c.code || !strings.Contains(text, want) {
					t.Errorf("exit code %d, want %d and %q:\n%s%s", code, c.code, want, out, errs)
				}
			}
			check(base, dir, c.want)
			if c.code == exitInconclusive { // from the other side too
				check(dir, base, "INCONCLUSIVE")
			}
		})
	}
}
