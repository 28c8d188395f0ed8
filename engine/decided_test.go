// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// twoKernels is a target whose trials measure one figure, on the second kernel
// factor times as much as on the first.
type twoKernels struct {
	factor float64
	r      *rand.Rand
	did    []string
}

func (*twoKernels) Kernels() []string { return []string{"before", "after"} }
func (*twoKernels) Clock() string     { return results.ClockWall }

func (k *twoKernels) Do(_ context.Context, kernel int, w target.Work) (target.Done, error) {
	job := w.Request.(trial.Job)
	k.did = append(k.did, fmt.Sprint(k.Kernels()[kernel], job.Trial))
	v := 1000 * (1 + 0.01*k.r.NormFloat64())
	if kernel == 1 {
		v *= k.factor
	}
	m := results.Metric{N: 1, Unit: "ns", P50: v, P90: v, P99: v, Min: v, Max: v, Mean: v}
	s := results.Scenario{ID: job.Scenario, Workload: job.Workload, Loop: results.LoopClosed, Kernel: k.Kernels()[kernel],
		Strategy: results.Strategy{Requested: job.Strategy}, Trials: []results.Trial{{Index: job.Trial, Metrics: map[string]results.Metric{"felt": m}}}}
	run := &results.Run{Targets: []results.Target{{Kind: "vm", Clock: results.ClockWall, Kernel: results.Kernel{Release: k.Kernels()[kernel]}}}, Scenarios: []results.Scenario{s}}
	out, err := results.Create(w.Dir)
	if err != nil {
		return target.Done{}, err
	}
	defer out.Abort()
	p, err := profile.OfLookups(nil, profile.MetaOf(run))
	if err != nil {
		return target.Done{}, err
	}
	var gz bytes.Buffer
	if err := profile.Write(&gz, p); err != nil {
		return target.Done{}, err
	}
	if err := out.Profile(gz.Bytes()); err != nil {
		return target.Done{}, err
	}
	return target.Done{}, out.Finish(run)
}

// TestUntilDecided: a run ends at the look at which the gate decides, or when
// there have been as many turns as are allowed. What it then is, the gate says of
// the run directory too.
func TestUntilDecided(t *testing.T) {
	policy, err := gate.ReadPolicy(strings.NewReader("version: 1\nhost: dedicated\nrules: [{metrics: [felt/mean], relative: 5%, action: block}]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		factor float64
		turns  int
		want   string
	}{
		{1, 10, gate.VerdictPass},
		{1.2, 20, gate.VerdictRegression}, // ten signs can't show it to a quarter of 0.001
		{1.05, 80, gate.VerdictInconclusive},
	} {
		until := gate.UntilDecided{By: compare.ByKernel, Baseline: "before", Policy: policy, MostTurns: 80}
		if err := until.Check(results.ClockWall); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "run")
		out, err := results.Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Abort()
		where := &twoKernels{factor: c.factor, r: rand.New(rand.NewPCG(1, 2))}
		run, err := Run(t.Context(), Plan{Target: where, Workload: "w", Strategies: []string{results.StrategyNone}, Trials: 80, Options: trial.Options{NoDeaths: true},
			Out: out, Progress: NoProgress{}, Decided: until.Decides, Looks: len(until.Looks(results.ClockWall))})
		if err != nil {
			t.Fatal(err)
		}
		if run.Partial || run.Looks != 4 || len(where.did) != 2*c.turns || where.did[2] != "before1" || where.did[3] != "after1" {
			t.Errorf("%v: partial %v, %d looks, %d trials %q", c.factor, run.Partial, run.Looks, len(where.did), where.did[:4])
		}
		if v := gate.JudgeTurns(dir, compare.ByKernel, "before", policy); v.Verdict != c.want {
			t.Errorf("%v: %+v", c.factor, v)
		}
	}
	for want, u := range map[string]gate.UntilDecided{
		"are not from 10, the policy's min_trials": {Baseline: "before", Policy: policy, MostTurns: 9},
		"needs the name of the kernel":             {Policy: policy, MostTurns: 80},
		"the policy blocks nothing on a wall":      {Baseline: "before", Policy: gate.DefaultPolicy(), MostTurns: 80},
	} {
		if err := u.Check(results.ClockWall); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
