// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"testing"
	"time"

	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/kernels"
)

// TestStartPhase: each trial on the deterministic clock has a start of its own,
// which the seed decides; on the wall clock there is none.
func TestStartPhase(t *testing.T) {
	seen := map[time.Duration]bool{}
	for seed := range uint64(3) {
		vm := &target.VM{Images: []kernels.Kernel{{Release: "6.12"}}}
		r := &runner{Plan: Plan{Target: vm, Workload: "churn", Strategies: []string{"rcu", "tasks-trace"}, Trials: 4, Seed: seed}}
		for _, p := range r.plan() {
			if p.job.StartPhase != 0 {
				t.Errorf("wall clock: %s begins %v late", p.label, p.job.StartPhase)
			}
		}
		vm.Machine.Clock = target.ClockICount
		plan, again := r.plan(), r.plan()
		for i, p := range plan {
			if p.job.StartPhase != again[i].job.StartPhase || p.job.StartPhase < 0 || p.job.StartPhase >= 40*time.Millisecond {
				t.Errorf("%s begins %v late, and then %v", p.label, p.job.StartPhase, again[i].job.StartPhase)
			}
			seen[p.job.StartPhase] = true
		}
	}
	if len(seen) != 3*4 {
		t.Errorf("%d different starts, not one for each of 3 seeds and 4 trials", len(seen))
	}
}
