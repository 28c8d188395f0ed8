// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMArm64: deaths on an arm64 kernel, each strategy on its path. The guest's
// mapprof is one that the go tool built.
func TestVMArm64(t *testing.T) {
	run := runVM(t, "--workload", "churn", "--strategy", "rcu,tasks-trace", "--arch", "arm64", "--kernel", "6.12", "--count", "60")
	target := run.Targets[0]
	if target.Arch != "arm64" || !strings.HasSuffix(target.Kernel.Release, "arm64") || target.Accel != "tcg" {
		t.Errorf("target %+v", target)
	}
	for _, p := range target.Probes {
		if p.Mechanism != "fentry" {
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
