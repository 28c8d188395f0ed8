// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMArm64: deaths on an arm64 kernel, each strategy on its path. The guest's
// mapprof is one that the go tool built.
func TestVMArm64(t *testing.T) {
	t.Parallel()
	run := runVM(t, "--workload", "churn", "--strategy", "rcu,tasks-trace", "--arch", "arm64", "--kernel", "6.12", "--count", "60")
	target := run.Targets[0]
	if target.Arch != "arm64" || !strings.HasSuffix(target.Kernel.Release, "arm64") || target.Accel != "tcg" {
		t.Errorf("target %+v", target)
	}
	for _, p := range target.Probes {
		// This kernel is built without RCU-tasks (CONFIG_TASKS_RCU).
		if absent := p.Function == "call_rcu_tasks" && strings.Contains(p.Reason, "no such function"); !absent && p.Mechanism != "fentry" {
			t.Errorf("%s: %q %s", p.Function, p.Mechanism, p.Reason)
		}
	}
	for _, s := range run.Scenarios {
		if s.Strategy.Observed != s.Strategy.Requested || s.Trials[0].Freed != 60 {
			t.Errorf("%s: %+v, %d freed", s.ID, s.Strategy, s.Trials[0].Freed)
		}
	}
	if lost := results.LossText(run.Loss); lost != "none" {
		t.Errorf("loss %s", lost)
	}
}

// TestVMArm64Local: on an arm64 machine, which a guest is here, the local target has all
// deaths, and a recording from outside has the same ones and the waits of their outer map.
func TestVMArm64Local(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "mapprof-arm64")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir, build.Env = packageDir, append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	recorded := filepath.Join(dir, "recorded")
	code, _, stderr := mapprof(t, "record", "--arch", "arm64", "--kernel", "6.12", "--guest-binary", binary, "-o", recorded, "--",
		binary, "run", "--target", "local", "--workload", "churn", "--strategy", "rcu", "--count", "30", "-o", "/tmp/local")
	if code != exitOK { // which is the inner one's, too
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(recorded)
	if err != nil {
		t.Fatal(err)
	}
	tr := d.Run.Scenarios[0].Trials[0]
	if waits := tr.Phases[results.PhaseUpdateWait].N; tr.Freed < 30 || waits < 30 || results.LossText(tr.Loss) != "none" {
		t.Errorf("%d freed, %d waits, loss %s", tr.Freed, waits, results.LossText(tr.Loss))
	}
}
