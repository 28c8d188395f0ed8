// SPDX-License-Identifier: Apache-2.0

//go:build vm

package engine

import (
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// runJob boots a kernel for one job and returns what the guest wrote.
func runJob(t *testing.T, series string, j trial.Job) *results.Run {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	_, err := vmtest.VM(t, series).Do(t.Context(), 0, target.Work{Task: trial.TaskRun, Request: j, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d.Run
}

// TestVMKprobes forces the fallback. Where the last put comes from close(2) it
// sees all; inside bpf(2) operations the kernel runs no kprobe program, and
// the run must say that it saw too little.
func TestVMKprobes(t *testing.T) {
	base := trial.Job{Scenario: "s", Workload: "churn", Params: map[string]string{"count": "50"}, Options: trial.DefaultOptions()}
	base.Mechanisms = []string{probes.MechanismKprobe}
	for _, series := range []string{"5.10", "6.12"} {
		j := base
		j.Strategy = "immediate"
		run := runJob(t, series, j)
		for _, p := range run.Target.Probes {
			if p.Mechanism == probes.MechanismFentry {
				t.Errorf("%s: %s is attached by %s", series, p.Function, p.Mechanism)
			}
		}
		tr := run.Scenarios[0].Trials[0]
		if err := Verify(run); err != nil || tr.Freed != 50 || results.LossText(tr.Loss) != "none" {
			t.Errorf("%s: %v, %+v", series, err, tr)
		}
	}
	j := base
	j.Strategy = "rcu"
	run := runJob(t, "6.12", j)
	tr := run.Scenarios[0].Trials[0]
	if err := Verify(run); err == nil {
		t.Error("puts that no kprobe could see were not missed")
	}
	if tr.Loss["recursion_misses"] == 0 || tr.Loss["unmatched_free"] == 0 {
		t.Errorf("loss %s", results.LossText(tr.Loss))
	}
}
