// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

func checkOf(v *Verdict, metric string) Check {
	i := slices.IndexFunc(v.Checks, func(c Check) bool { return c.Metric == metric })
	if i < 0 {
		return Check{}
	}
	return v.Checks[i]
}

func policyOf(t *testing.T, text string) Policy {
	t.Helper()
	p, err := ReadPolicy(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const dedicated = "version: 1\nhost: dedicated\n"

func TestGateOfBadRuns(t *testing.T) {
	good := func() *results.Run { return synthetic.Seeded(3, 0.0001, 1, results.ClockICount, 1) }
	for want, change := range map[string]func(*results.Run){
		"b: the run is partial: power cut":                               func(r *results.Run) { r.Partial, r.PartialReason = true, "power cut" },
		"b: the run has no scenarios":                                    func(r *results.Run) { r.Scenarios = nil },
		"b: synthetic has no whole trial":                                func(r *results.Run) { r.Scenarios[0].Trials = nil },
		"b: synthetic: 1 of 3 trials are partial":                        func(r *results.Run) { r.Scenarios[0].Trials[2].Partial = true },
		"b: synthetic: its 2 trials are not numbers 0 to 1":              func(r *results.Run) { r.Scenarios[0].Trials = r.Scenarios[0].Trials[1:] },
		"b: synthetic: it counts 300 deaths by path rcu, its trials 200": func(r *results.Run) { r.Scenarios[0].Trials = r.Scenarios[0].Trials[:2] },
		"b: synthetic: it counts 7 lost by ring_full, its trials 0":      func(r *results.Run) { r.Scenarios[0].Loss["ring_full"] = 7 },
		"b: synthetic: it counts 400 values of op, its trials 300":       func(r *results.Run) { r.Scenarios[0].Phases = map[string]results.Stats{"op": {N: 400}} },
		"b: synthetic: it counts 15000 values of lookup.syscall, its trials 0": func(r *results.Run) {
			for i := range r.Scenarios[0].Trials {
				r.Scenarios[0].Trials[i].Metrics = nil
			}
		},
		"p50 of metric lookup.syscall is 0, and its minimum": func(r *results.Run) {
			m := r.Scenarios[0].Trials[2].Metrics["lookup.syscall"]
			m.P50 = 0
			r.Scenarios[0].Trials[2].Metrics["lookup.syscall"] = m
		},
		"trial 1 does not balance":                       func(r *results.Run) { r.Scenarios[0].Trials[1].Freed-- },
		"100 last references were dropped, 90 were seen": func(r *results.Run) { r.Scenarios[0].Trials[1].Puts = 90; r.Scenarios[0].Trials[1].Freed = 90 },
		"b: synthetic lost 4 of 300 deaths (ringbuf_full 4)": func(r *results.Run) {
			t := &r.Scenarios[0].Trials[1]
			t.Loss, t.Lost, t.Freed = map[string]uint64{"ringbuf_full": 4}, 4, t.Freed-4
		},
		"b: synthetic lost 3 of 300 deaths (of_a_newer_version 3)": func(r *results.Run) {
			r.Scenarios[0].Trials[1].Loss = map[string]uint64{"of_a_newer_version": 3}
		},
		"b: synthetic trial 1: 200 operations a second were asked for, 35 were achieved, less than 95 % of them": func(r *results.Run) {
			r.Scenarios[0].Trials[1].Rate = &results.Rate{AskedPerSecond: 200, AchievedPerSecond: 35}
		},
		"b: synthetic: 9 of 300 deaths were still pending":               func(r *results.Run) { r.Scenarios[0].Trials[0].Pending = &results.Pending{N: 9} },
		"not comparable: clock icount against wall":                      func(r *results.Run) { r.Targets[0].Clock = results.ClockWall },
		"compare synthetic rcu synthetic: b: scenario synthetic trial 0": func(r *results.Run) { r.Scenarios[0].Trials[0].Limbo.ByteSeconds = math.NaN() },
	} {
		b := good()
		change(b)
		v := Judge(compare.Input{Name: "a", Run: good()}, compare.Input{Name: "b", Run: b}, nil, DefaultPolicy())
		if v.Verdict != VerdictInconclusive || !strings.Contains(strings.Join(v.Reasons, "\n"), want) {
			t.Errorf("%s: %s %q", want, v.Verdict, v.Reasons)
		}
	}
	// Much worse, but what is wrong with the run outweighs that.
	b := synthetic.Seeded(3, 0.0001, 2, results.ClockICount, 2)
	b.Partial = true
	if v := Judge(compare.Input{Name: "a", Run: good()}, compare.Input{Name: "b", Run: b}, nil, DefaultPolicy()); v.Verdict != VerdictInconclusive {
		t.Errorf("a partial run is a %s", v.Verdict)
	}
	// A scenario is missing.
	b = good()
	a := good()
	more := a.Scenarios[0]
	more.ID, more.Strategy.Requested = "other", "sync"
	a.Scenarios = append(a.Scenarios, more)
	if v := Judge(compare.Input{Name: "a", Run: a}, compare.Input{Name: "b", Run: b}, nil, DefaultPolicy()); v.Verdict != VerdictInconclusive || !strings.Contains(v.Reasons[0], "other has no counterpart") {
		t.Errorf("a scenario is missing: %+v", v)
	}
	// So is one more, unless the policy accepts it.
	if v := Judge(compare.Input{Name: "b", Run: b}, compare.Input{Name: "a", Run: a}, nil, DefaultPolicy()); v.Verdict != VerdictInconclusive || !strings.Contains(v.Reasons[0], "a: other has no counterpart in the baseline") {
		t.Errorf("a scenario is new: %s %q", v.Verdict, v.Reasons)
	}
	if v := Judge(compare.Input{Name: "b", Run: b}, compare.Input{Name: "a", Run: a}, nil, policyOf(t, "version: 1\naccept: [scenarios]")); v.Verdict != VerdictPass || !strings.Contains(strings.Join(v.Notes, " "), "other has no counterpart") {
		t.Errorf("a scenario is new, and that is accepted: %s %q", v.Verdict, v.Notes)
	}
	// Each kept its rate.
	a, b = good(), good()
	b.Scenarios[0].Trials[1].Rate = &results.Rate{AskedPerSecond: 200, AchievedPerSecond: 195}
	if v := Judge(compare.Input{Name: "a", Run: a}, compare.Input{Name: "b", Run: b}, nil, DefaultPolicy()); v.Verdict != VerdictPass {
		t.Errorf("the rate was kept: %+v", v)
	}
	// A run against itself.
	a = good()
	a.Started, a.Ended = time.Unix(1, 0), time.Unix(2, 0)
	if v := Judge(compare.Input{Name: "a", Run: a}, compare.Input{Name: "b", Run: a}, nil, DefaultPolicy()); v.Verdict != VerdictInconclusive {
		t.Errorf("a run against itself is a %s", v.Verdict)
	}
}

func TestGateMetrics(t *testing.T) {
	without := func(r *results.Run, phase string) *results.Run {
		for i := range r.Scenarios[0].Trials {
			delete(r.Scenarios[0].Trials[i].Phases, phase)
		}
		return r
	}
	lacksOne := func(r *results.Run) *results.Run {
		delete(r.Scenarios[0].Trials[2].Phases, "op")
		return r
	}
	noMemory := func(r *results.Run) *results.Run {
		for i := range r.Scenarios[0].Trials {
			r.Scenarios[0].Trials[i].Limbo = results.Limbo{}
		}
		return r
	}
	slower := func(factor float64) *results.Run { return synthetic.Seeded(3, 0.0001, factor, results.ClockICount, 2) }
	base := synthetic.Seeded(3, 0.0001, 1, results.ClockICount, 1)
	for _, c := range []struct {
		name      string
		policy    string
		base      *results.Run
		candidate *results.Run
		want      string
		metric    string
		result    string
		reason    string
	}{
		{"unchanged", "", base, slower(1), VerdictPass, "limbo/p50", VerdictPass, ""},
		{"one percent", "", base, slower(1.01), VerdictRegression, "lookup.syscall/p50", VerdictRegression, ""},
		{"better", "", base, slower(0.9), VerdictPass, "op/p50", ResultImprovement, ""},
		{"small", "", base, slower(1.003), VerdictPass, "lookup.syscall/p50", VerdictPass, ""},
		{"gone from the candidate", "", base, without(slower(1), "update_wait"), VerdictInconclusive, "update_wait/p50", VerdictInconclusive, "the candidate has no such values"},
		{"new in the candidate", "", without(synthetic.Seeded(3, 0.0001, 1, results.ClockICount, 1), "update_wait"), slower(1), VerdictInconclusive, "update_wait/p50", VerdictInconclusive, "the baseline has no such values"},
		{"a stage that advises is gone", "", base, without(slower(1), "queue"), VerdictInconclusive, "queue/p50", VerdictInconclusive, "no such values"},
		{"a stage is gone, which is accepted", "version: 1\naccept: [figures]", base, without(slower(1), "queue"), VerdictPass, "queue/p50", VerdictInconclusive, "no such values"},
		{"gone from one trial", "", synthetic.Seeded(5, 0.0001, 1, results.ClockICount, 1), lacksOne(synthetic.Seeded(5, 0.0001, 1, results.ClockICount, 2)), VerdictInconclusive, "op/p50", VerdictInconclusive, "1 of the candidate's 5 trials have no such values"},
		{"gone from one trial of the baseline", "", lacksOne(synthetic.Seeded(5, 0.0001, 1, results.ClockICount, 2)), synthetic.Seeded(5, 0.0001, 1, results.ClockICount, 1), VerdictInconclusive, "op/p50", VerdictInconclusive, "1 of the baseline's 5 trials have no such values"},
		{"memory is gone", "version: 1\nrules: [{metrics: [limbo/peak_bytes], action: block}]", base, noMemory(slower(1)), VerdictInconclusive, "limbo/peak_bytes", VerdictInconclusive, "the candidate has no such values"},
		{"too few trials", "", base, synthetic.Seeded(2, 0, 1.5, results.ClockICount, 2), VerdictInconclusive, "limbo/p50", VerdictInconclusive, "3 on each side would be enough"},
		{"more trials wanted", "version: 1\nrules: [{metrics: [limbo/p50], action: block, min_trials: 5}]", base, slower(1.5), VerdictInconclusive, "limbo/p50", VerdictInconclusive, "5 on each side would be enough"},
		{"relative", "version: 1\nrules: [{metrics: [limbo/p50], action: block, relative: 60%}]", base, slower(1.5), VerdictPass, "limbo/p50", VerdictPass, ""},
		{"absolute", "version: 1\nrules: [{metrics: [limbo/p50], action: block, absolute: 7ms}]", base, slower(1.5), VerdictPass, "limbo/p50", VerdictPass, ""},
		{"both exceeded", "version: 1\nrules: [{metrics: [limbo/p50], action: block, relative: 40%, absolute: 5ms}]", base, slower(1.5), VerdictRegression, "limbo/p50", VerdictRegression, ""},
		{"the other direction", "version: 1\nrules: [{metrics: [limbo/p50], action: block, direction: higher}]", base, slower(1.5), VerdictPass, "limbo/p50", ResultImprovement, ""},
		{"only advises", "version: 1\nrules: [{metrics: ['**'], action: advise}]", base, slower(1.5), VerdictPass, "limbo/p50", VerdictRegression, ""},
		{"the first rule that matches", "version: 1\nrules: [{metrics: ['limbo/*'], action: advise}, {metrics: ['*/p50'], action: block}]", base, slower(1.5), VerdictRegression, "op/p50", VerdictRegression, ""},
		{"a rule without a metric", "version: 1\nrules: [{metrics: [limbo/p50], action: block}, {metrics: [nothing/p50], action: block}]", base, slower(1), VerdictInconclusive, "", "", ""},
		{"an optional rule without a metric", "version: 1\nrules: [{metrics: [limbo/p50], action: block}, {metrics: [nothing/p50], action: block, optional: true}]", base, slower(1), VerdictPass, "", "", ""},
		{"nothing that blocks", "version: 1\nrules: [{metrics: [nothing], action: block, optional: true}, {metrics: ['**'], action: advise}]", base, slower(1), VerdictInconclusive, "", "", ""},
		{"no metric at all", "version: 1\nrules: [{metrics: [nothing], action: advise, optional: true}]", base, slower(1), VerdictInconclusive, "", "", ""},
		{"a rule for another clock", "version: 1\nrules: [{metrics: [limbo/p50], action: block, clock: wall}, {metrics: [op/p50], action: block}]", base, slower(1), VerdictPass, "op/p50", VerdictPass, ""},
		{"hidden by noise", "", synthetic.Seeded(3, 0.05, 1, results.ClockICount, 1), synthetic.Seeded(3, 0.05, 1, results.ClockICount, 2), VerdictInconclusive, "limbo/p50", VerdictInconclusive, "trials on each side would settle it"},
		{"wall advises", "", synthetic.Seeded(10, 0.01, 1, results.ClockWall, 1), synthetic.Seeded(10, 0.01, 2, results.ClockWall, 2), VerdictPass, "limbo/p50", VerdictRegression, ""},
		{"wall on a dedicated host", dedicated, synthetic.Seeded(10, 0.01, 1, results.ClockWall, 1), synthetic.Seeded(10, 0.01, 2, results.ClockWall, 2), VerdictRegression, "limbo/p50", VerdictRegression, ""},
		{"wall, four percent", dedicated, synthetic.Seeded(10, 0.001, 1, results.ClockWall, 1), synthetic.Seeded(10, 0.001, 1.04, results.ClockWall, 2), VerdictPass, "limbo/p50", VerdictPass, ""},
		{"wall, nine trials", dedicated, synthetic.Seeded(9, 0.01, 1, results.ClockWall, 1), synthetic.Seeded(9, 0.01, 2, results.ClockWall, 2), VerdictInconclusive, "limbo/p50", VerdictInconclusive, "10 on each side"},
	} {
		p := DefaultPolicy()
		if c.policy != "" {
			p = policyOf(t, c.policy)
		}
		v := Judge(compare.Input{Name: "a", Run: c.base}, compare.Input{Name: "b", Run: c.candidate}, nil, p)
		if v.Verdict != c.want {
			t.Errorf("%s: %s, want %s: %q", c.name, v.Verdict, c.want, v.Reasons)
		}
		if got := checkOf(v, c.metric); c.metric != "" && (got.Result != c.result || !strings.Contains(got.Reason, c.reason)) {
			t.Errorf("%s: %s is %s (%s), want %s (%s)", c.name, c.metric, got.Result, got.Reason, c.result, c.reason)
		}
		if v.Verdict == VerdictRegression && len(v.Failing()) == 0 {
			t.Errorf("%s: a regression of nothing", c.name)
		}
	}
}

func TestGateConfirm(t *testing.T) {
	p := policyOf(t, dedicated+"confirm: true\n")
	run := func(factor float64, seed uint64) compare.Input {
		return compare.Input{Name: "r", Run: synthetic.Seeded(10, 0.01, factor, results.ClockWall, seed)}
	}
	again := run(2, 3)
	calm := run(1, 4)
	few := compare.Input{Name: "few", Run: synthetic.Seeded(2, 0.01, 2, results.ClockWall, 5)}
	for _, c := range []struct {
		name    string
		confirm *compare.Input
		want    string
		reason  string
	}{
		{"not confirmed yet", nil, VerdictInconclusive, "--confirm"},
		{"confirmed", &again, VerdictRegression, "confirmed by the second run"},
		{"not so the second time", &calm, VerdictPass, "not in the confirming run"},
		{"the second says nothing", &few, VerdictInconclusive, "says nothing about it"},
	} {
		v := Judge(run(1, 1), run(2, 2), c.confirm, p)
		if got := checkOf(v, "limbo/p50"); v.Verdict != c.want || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: %s (%s), want %s", c.name, v.Verdict, got.Reason, c.want)
		}
	}
}

func TestReadPolicy(t *testing.T) {
	p := policyOf(t, `
version: 1
host: dedicated
max_loss: 0.5%
accept: [probes]
deterministic: {alpha: 0.02, min_trials: 4, pass_alpha: 0.1}
rules:
  - metrics: [limbo/p50, "lookup.*/mean"]
    direction: lower
    relative: 2.5%
    absolute: 4KiB
    action: block
    clock: icount
    min_trials: 6
    optional: true
`)
	r := p.Rules[0]
	if p.MaxLoss != 0.005 || p.MaxPending != 0.01 || p.Deterministic.Alpha != 0.02 || p.Deterministic.PassAlpha != 0.1 || !slices.Equal(p.Accept, []string{DiffersProbes}) || p.Wall.MinTrials != 10 ||
		r.Relative != 0.025 || r.Absolute != 4096 || r.MinTrials != 6 || !r.Optional || len(p.Rules) != 1 {
		t.Errorf("%+v", p)
	}
	for glob, c := range map[string]struct{ yes, no string }{
		"limbo/p50": {"limbo/p50", "limbo/p500"},
		"limbo/*":   {"limbo/p50", "limbo/a/b"},
		"**/mean":   {"lookup/array/mean", "mean"},
		"a.b/*":     {"a.b/c", "aXb/c"},
		"(+":        {"(+", "("},
	} {
		r := Rule{}
		r.patterns = append(r.patterns, globPattern(glob))
		if !r.matches(c.yes) || r.matches(c.no) {
			t.Errorf("%s: %s %v, %s %v", glob, c.yes, r.matches(c.yes), c.no, r.matches(c.no))
		}
	}
	const rule = "rules: [{metrics: [a], action: block"
	for in, want := range map[string]string{
		"":                         "it is empty",
		"host: shared":             "version is 0",
		"version: 2":               "version is 2",
		"version: 1\nhots: shared": "field hots not found",
		"version: 1\nhost: mine":   `host "mine" is not one of shared, dedicated`,
		"version: 1\nrules: []":    "there are no rules",
		"version: 1\n" + rule + ", relative: -1}]":   `"-1" is not a ratio`,
		"version: 1\n" + rule + ", relative: NaN}]":  `"NaN" is not a ratio`,
		"version: 1\n" + rule + ", absolute: soon}]": `"soon" is not an amount`,
		"version: 1\n" + rule + ", clock: sundial}]": `clock "sundial"`,
		"version: 1\n" + rule + ", min_trials: 1}]":  "min_trials 1",
		"version: 1\n" + rule + ", treshold: 1}]":    "field treshold not found",
		"version: 1\nrules: [{metrics: [a]}]":        `action ""`,
		"version: 1\nrules: [{action: block}]":       "it names no metrics",
		"version: 1\nwall: {alpha: 2}":               "alpha 2",
		"version: 1\nwall: {min_trials: 0}":          "min_trials 0",
		"version: 1\nwall: {pass_alpha: 0.5}":        "pass_alpha 0.5",
		"version: 1\nwall: {resolve: 5%}":            "field resolve not found",
		"version: 1\naccept: [loss]":                 `accept "loss" is not one of scenarios, trials`,
		"version: 1\n---\nversion: 1":                "more than one document",
		"version: 1\nmax_loss: 200%":                 "at most 100%",
		"[":                                          "read policy",
		strings.Repeat("#", maxPolicyBytes+1):        "larger than",
	} {
		if _, err := ReadPolicy(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", in, err, want)
		}
	}
}

// TestDefaultPolicyBlocks: what a user feels and what a workload measures of its
// own blocks, the parts of a death and maxima don't.
func TestDefaultPolicyBlocks(t *testing.T) {
	p := DefaultPolicy()
	for figure, want := range map[string]struct {
		action     string
		rcu, trace Ratio // margins
	}{
		"limbo/p50": {ActionBlock, 0.005, 0.1}, "limbo/mean": {ActionBlock, 0.01, 0.03},
		"limbo/p90": {ActionBlock, 0.02, 0.1}, "limbo/p99": {ActionBlock, 0.05, 0.1},
		"limbo/peak_bytes": {ActionBlock, 0.1, 0.1}, "limbo/byte_seconds_per_death": {ActionBlock, 0.01, 0.03},
		"update_wait/p50": {ActionBlock, 0.005, 0.005}, "op/p99": {ActionBlock, 0.05, 0.05},
		"throughput/ops_per_s": {ActionBlock, 0.01, 0.01}, "throughput/deaths_per_op": {ActionBlock, 0.01, 0.01},
		"lookup.syscall/mean": {ActionBlock, 0.01, 0.01}, "probe.syscall/p50": {ActionBlock, 0.005, 0.005}, "probe.syscall/mean": {ActionAdvise, 0.02, 0.02},
		"probe.syscall/p90": {ActionAdvise, 0.02, 0.02}, "lookup.syscall/p90": {ActionBlock, 0.02, 0.02}, "lookup.syscall/p99": {ActionAdvise, 0.02, 0.02}, "lookup.syscall.function/p50": {ActionBlock, 0.005, 0.005},
		"create.zeroing/p50": {ActionBlock, 0.005, 0.005}, "free.vfree/p90": {ActionBlock, 0.02, 0.02},
		"rcu_gp/p50": {ActionAdvise, 0.02, 0.02}, "free/p50": {ActionAdvise, 0.02, 0.02}, "limbo/max": {ActionAdvise, 0.02, 0.02},
		"limbo/byte_seconds": {ActionAdvise, 0.02, 0.02}, "memory.held/p50": {ActionAdvise, 0.02, 0.02},
	} {
		for strategy, margin := range map[string]Ratio{results.StrategyRCU: want.rcu, results.StrategyTasksTrace: want.trace} {
			i := p.rule(figure, strategy, results.ClockICount)
			if i < 0 || p.Rules[i].Action != want.action || p.Rules[i].Relative != margin {
				t.Errorf("%s of %s: rule %d %+v, want %+v", figure, strategy, i, p.Rules[i], want)
			}
		}
	}
}

// TestWritePolicy: what is printed is read as the same policy.
func TestWritePolicy(t *testing.T) {
	for _, text := range []string{"version: 1", "version: 1\nhost: dedicated\nconfirm: true\naccept: [probes, strategy]\nmax_loss: 0.25%\n" +
		"rules: [{metrics: [limbo/p50, '**'], clock: wall, strategies: [rcu], direction: higher, relative: 12.5%, absolute: 4KiB, action: block, min_trials: 7, optional: true}]"} {
		want := policyOf(t, text)
		var b strings.Builder
		if err := want.Write(&b); err != nil {
			t.Fatal(err)
		}
		if got := policyOf(t, b.String()); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v:\n%s", got, want, &b)
		}
	}
}
