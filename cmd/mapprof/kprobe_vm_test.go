// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// runJob boots a kernel for one job and returns what the guest wrote.
func runJob(t *testing.T, series string, j trial.Job) *results.Run {
	t.Helper()
	kernel, err := target.ResolveKernel(t.Context(), series, target.KernelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out, err := target.VM{Kernel: kernel, Timeout: 3 * time.Minute}.Run(t.Context(), target.Job{
		Args: []string{"guest", trial.GuestJobPath}, Files: map[string][]byte{trial.GuestJobPath: data}, OutDir: dir,
	})
	if err != nil || out.ExitCode != 0 {
		t.Fatalf("%v %s", err, out.Message)
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
	base := trial.Job{Scenario: "s", Workload: "churn", Args: []string{"--count=50"}, DrainTimeout: 10 * time.Second, Mechanisms: []string{probes.MechanismKprobe}}
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
		if err := engine.Verify(run); err != nil || tr.Freed != 50 || results.LossText(tr.Loss) != "none" {
			t.Errorf("%s: %v, %+v", series, err, tr)
		}
	}
	j := base
	j.Strategy = "rcu"
	run := runJob(t, "6.12", j)
	tr := run.Scenarios[0].Trials[0]
	if err := engine.Verify(run); err == nil {
		t.Error("puts that no kprobe could see were not missed")
	}
	if tr.Loss["recursion_misses"] == 0 || tr.Loss["unmatched_free"] == 0 {
		t.Errorf("loss %s", results.LossText(tr.Loss))
	}
}
