// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMDeterministicClock runs each of two workloads twice with one seed, all
// at once and beside something else that is always busy, one of them with its trials
// at once, too. The figures must be equal all the same.
func TestVMDeterministicClock(t *testing.T) {
	defer keepHostBusy()()
	var runs [4]*results.Run
	t.Run("at once", func(t *testing.T) {
		for i, args := range [][]string{
			{"--workload", "churn", "--strategy", "rcu", "--count", "60", "--trials", "2"},
			{"--workload", "churn", "--strategy", "rcu", "--count", "60", "--trials", "2", "--jobs", "2"},
			{"--workload", "lookup", "--count", "20480"},
			{"--workload", "lookup", "--count", "20480"},
		} {
			t.Run(args[1], func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "run")
				code, _, stderr := mapprof(t, append([]string{"run", "--kernel", "6.12", "--clock", "icount", "--seed", "7", "-o", dir}, args...)...)
				if code != exitOK {
					t.Fatalf("exit %d\n%s", code, stderr)
				}
				d, err := results.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				runs[i] = d.Run
			})
		}
	})
	if t.Failed() {
		return
	}
	same := func(what string, a, b float64) {
		t.Logf("%s: %v and %v", what, a, b)
		if a <= 0 || math.Abs(a-b) > 0.001*a {
			t.Errorf("%s: %v and %v are more than 0.1 %% apart", what, a, b)
		}
	}
	a, b := runs[0].Scenarios[0], runs[1].Scenarios[0]
	for i := range a.Trials {
		same("median limbo", float64(a.Trials[i].Phases[results.PhaseLimbo].P50NS), float64(b.Trials[i].Phases[results.PhaseLimbo].P50NS))
	}
	a, b = runs[2].Scenarios[0], runs[3].Scenarios[0]
	for _, path := range []string{"syscall", "helper", "inlined"} {
		same("median lookup by "+path, a.Metrics["lookup."+path].P50, b.Metrics["lookup."+path].P50)
	}
}

// keepHostBusy occupies a CPU until the returned function is called.
func keepHostBusy() (stop func()) {
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !done.Load() {
		}
	})
	return func() { done.Store(true); wg.Wait() }
}
