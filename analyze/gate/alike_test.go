// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// probed is an unchanged run with the probes that make its phases visible.
func probed(seed uint64) *results.Run {
	r := synthetic.Seeded(3, 0.0001, 1, results.ClockICount, seed)
	for _, p := range [][2]string{{"last put", "bpf_map_put"}, {"enqueue", "call_rcu"}, {"callback", "bpf_map_free_mult_rcu_gp"},
		{"callback", "bpf_map_free_rcu_gp"}, {"free", "bpf_map_free_deferred"}, {"update wait", "synchronize_rcu"}} {
		r.Targets[0].Probes = append(r.Targets[0].Probes, results.Probe{Name: p[0], Function: p[1], Mechanism: "fentry"})
	}
	return r
}

// eachTrial changes the trials of the only scenario, and counts anew.
func eachTrial(change func(t *results.Trial)) func(r *results.Run) {
	return func(r *results.Run) {
		for i := range r.Scenarios[0].Trials {
			change(&r.Scenarios[0].Trials[i])
		}
		analyze.SumTrials(&r.Scenarios[0])
	}
}

func without(functions ...string) func(r *results.Run) {
	return func(r *results.Run) {
		for i := range r.Targets[0].Probes {
			if p := &r.Targets[0].Probes[i]; slices.Contains(functions, p.Function) {
				p.Mechanism = ""
			}
		}
	}
}

func otherKernel(r *results.Run) { r.Targets[0].Kernel.SHA256 = "another" }

func withParam(name, value string) func(r *results.Run) {
	return func(r *results.Run) { r.Scenarios[0].Params[name] = value }
}

// TestDiffersInKind: what makes the sides differ in kind is said on either
// side, and a policy that accepts it passes. What doctor says that one of two
// kernels lacks is no such thing.
func TestDiffersInKind(t *testing.T) {
	noRCU := eachTrial(func(t *results.Trial) { delete(t.Phases, results.PhaseRCUGP) })
	noWait := eachTrial(func(t *results.Trial) { delete(t.Phases, results.PhaseUpdateWait); t.Expedited = 0 })
	open := func(r *results.Run) { r.Scenarios[0].Loop = results.LoopOpen }
	longer := eachTrial(func(t *results.Trial) { t.DurationNS = t.DurationNS * 11 / 10 })
	moreOps := eachTrial(func(t *results.Trial) { t.Ops += 2 })
	type changes = []func(*results.Run)
	for _, c := range []struct {
		name      string
		both      changes
		candidate changes
		kind      string // empty: it passes
		want      string // in a reason, or in a note
	}{
		{"nothing", nil, nil, "", ""},
		{"a phase of two kernels, seen by both", nil, changes{otherKernel, noRCU}, DiffersFigures, "rcu_gp is in the baseline and not in the candidate"},
		{"a phase that one of two kernels can't show", nil, changes{otherKernel, noRCU, without("call_rcu")}, "",
			"the candidate's kernel has no call_rcu to probe; not judged: enqueue, rcu_gp"},
		{"the same of one kernel", nil, changes{noRCU, without("call_rcu")}, DiffersProbes + "," + DiffersFigures, "call_rcu is probed by fentry in the baseline, by none"},
		{"a function that another one stands in for", nil, changes{otherKernel, without("bpf_map_free_mult_rcu_gp")}, "",
			"has no bpf_map_free_mult_rcu_gp to probe; no phase is lost by it"},
		{"the whole is not exempt", nil, changes{otherKernel, noWait, without("synchronize_rcu")}, DiffersFigures, "update_wait is in the baseline and not in the candidate"},
		{"a mechanism of two kernels", nil, changes{otherKernel, func(r *results.Run) { r.Targets[0].Probes[0].Mechanism = "kprobe" }}, DiffersProbes, "bpf_map_put is probed by fentry in the baseline, by kprobe"},
		{"two kernels that name a path differently", nil, changes{otherKernel, eachTrial(func(t *results.Trial) { t.Paths = map[string]uint64{"immediate+rcu": 100} })}, "", ""},
		{"another path of one kernel", nil, changes{eachTrial(func(t *results.Trial) { t.Paths = map[string]uint64{"immediate+rcu": 100} })}, DiffersStrategy, "0 % of deaths went by immediate+rcu in the baseline, 100 % in the candidate"},
		{"one death of a hundred", nil, changes{eachTrial(func(t *results.Trial) { t.Paths = map[string]uint64{"rcu": 99, "immediate": 1} })}, "", ""},
		{"fewer operations than asked for", changes{withParam("count", "101")}, nil, DiffersOperations, "trial 0 of the candidate has 100 operations, 101 were asked for"},
		{"more operations", nil, changes{moreOps}, DiffersOperations + "," + DiffersDeaths, "100 operations a trial in the baseline, 102 in the candidate"},
		{"a time that was asked for", changes{withParam("duration", "1s")}, changes{longer}, DiffersOperations, "trials of the baseline last 1.2 s, of the candidate 1.32 s"},
		{"a load that is not equal", changes{open}, changes{longer}, DiffersRate, "the load is not equal: 83.34 operations a second in the baseline, 75.76 in the candidate"},
		{"an equal load", changes{open}, nil, "", ""},
		{"a trial more", nil, changes{func(r *results.Run) {
			*r = *synthetic.Seeded(4, 0.0001, 1, results.ClockICount, 2)
			r.Targets[0].Probes = probed(1).Targets[0].Probes
		}},
			DiffersTrials, "the baseline has 3 trials, the candidate 4"},
	} {
		a, b := probed(1), probed(2)
		for _, change := range c.both {
			change(a)
			change(b)
		}
		for _, change := range c.candidate {
			change(b)
		}
		baseline, candidate := compare.Input{Name: "a", Run: a}, compare.Input{Name: "b", Run: b}
		v := Judge(baseline, candidate, nil, DefaultPolicy())
		if c.kind == "" {
			if v.Verdict == VerdictInconclusive || len(v.Reasons) > 0 || !strings.Contains(strings.Join(v.Notes, "\n"), c.want) {
				t.Errorf("%s: %s %q %q", c.name, v.Verdict, v.Reasons, v.Notes)
			}
			continue
		}
		if v.Verdict != VerdictInconclusive || !strings.Contains(strings.Join(v.Reasons, "\n"), c.want) {
			t.Errorf("%s: %s %q, want %s", c.name, v.Verdict, v.Reasons, c.want)
		}
		if v := Judge(candidate, baseline, nil, DefaultPolicy()); len(v.Reasons) == 0 {
			t.Errorf("%s, the other way round: %s", c.name, v.Verdict)
		}
		p := DefaultPolicy()
		p.Accept = strings.Split(c.kind, ",")
		if v := Judge(baseline, candidate, nil, p); len(v.Reasons) > 0 || !strings.Contains(strings.Join(v.Notes, "\n"), c.want) {
			t.Errorf("%s, accepted: %s %q %q", c.name, v.Verdict, v.Reasons, v.Notes)
		}
	}
}
