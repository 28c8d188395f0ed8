// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/results"
)

// drifting is a run of two kernels and two strategies whose trials took turns
// while the machine went from 20 % too fast to 20 % too slow. What is of the second
// kernel or strategy is factor times as long.
func drifting(t *testing.T, clock string, turns int, kernel, strategy float64) string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 7))
	run := &results.Run{}
	for k, release := range []string{"6.12.1", "7.2.1"} {
		run.Targets = append(run.Targets, results.Target{Kind: "vm", Clock: clock,
			Kernel: results.Kernel{Release: release, Requested: []string{"6.12", "./after"}[k]}})
		for st, name := range []string{results.StrategyRCU, results.StrategyTasksTrace} {
			s := results.Scenario{ID: "churn/" + release + "/" + name, Workload: "churn", Loop: results.LoopClosed, Kernel: release, TargetIx: k,
				Strategy: results.Strategy{Requested: name, Observed: name, Paths: map[string]uint64{name: uint64(turns)}}}
			for i := range turns {
				v := 1000 * (0.8 + 0.4*float64(i)/float64(turns)) * (1 + 0.003*r.NormFloat64())
				if clock == results.ClockICount {
					v = 1000 * (1 + 0.0001*r.NormFloat64())
				}
				if k == 1 {
					v *= kernel
				}
				if st == 1 {
					v *= strategy
				}
				m := results.Metric{N: 1, Unit: "ns", P50: v, P90: v, P99: v, Min: v, Max: v, Mean: v}
				s.Trials = append(s.Trials, results.Trial{Index: i, Puts: 1, Freed: 1, Expected: 1, Paths: map[string]uint64{name: 1}, Metrics: map[string]results.Metric{"felt": m}})
			}
			run.Scenarios = append(run.Scenarios, s)
		}
	}
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
	return dir
}

const felt = dedicated + "confirm: true\nrules: [{metrics: [felt/mean], relative: 5%, action: block}]"

func TestJudgeTurns(t *testing.T) {
	for _, c := range []struct {
		name             string
		clock            string
		turns            int
		kernel, strategy float64
		by, baseline     string
		want             string
	}{
		{"no change", results.ClockWall, 20, 1, 3, compare.ByKernel, "6.12.1", VerdictPass},
		{"as it was asked for", results.ClockWall, 20, 1, 3, compare.ByKernel, "6.12", VerdictPass},
		{"slower", results.ClockWall, 20, 1.08, 3, compare.ByKernel, "6.12", VerdictRegression},
		{"slower, the other way round", results.ClockWall, 20, 1.08, 3, compare.ByKernel, "./after", VerdictPass},
		{"too few turns to show it", results.ClockWall, 10, 1.08, 3, compare.ByKernel, "6.12", VerdictInconclusive},
		{"strategies", results.ClockWall, 20, 3, 1, compare.ByStrategy, "rcu", VerdictPass},
		{"a slower strategy", results.ClockWall, 20, 3, 1.2, compare.ByStrategy, "rcu", VerdictRegression},
		{"instructions", results.ClockICount, 3, 1, 3, compare.ByKernel, "6.12", VerdictPass},
		{"more instructions", results.ClockICount, 3, 1.08, 3, compare.ByKernel, "6.12", VerdictRegression},
	} {
		v := JudgeTurns(drifting(t, c.clock, c.turns, c.kernel, c.strategy), c.by, c.baseline, policyOf(t, felt))
		if v.Verdict != c.want || len(v.Checks) != 2 {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
	// Without the pairs the drift hides it.
	_, in, err := compare.Open([]string{drifting(t, results.ClockWall, 20, 1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	a, b := *in[0].Run, *in[0].Run
	a.Scenarios, b.Scenarios = a.Scenarios[:1], b.Scenarios[2:3]
	if v := Judge(compare.Input{Name: "a", Run: &a}, compare.Input{Name: "b", Run: &b}, nil, policyOf(t, felt)); v.Verdict != VerdictInconclusive {
		t.Errorf("without pairs: %+v", v)
	}
	dir := drifting(t, results.ClockWall, 3, 1, 1)
	for _, c := range []struct{ path, by, baseline, want string }{
		{dir, compare.ByKernel, "6.1", "the run has no kernel 6.1"},
		{dir, compare.ByStrategy, "sync", "the run has no strategy sync"},
		{"nowhere", compare.ByKernel, "6.12", "no such directory"},
	} {
		if v := JudgeTurns(c.path, c.by, c.baseline, DefaultPolicy()); v.Verdict != VerdictInconclusive || !strings.Contains(v.Reasons[0], c.want) {
			t.Errorf("%+v: %+v", c, v)
		}
	}
}
