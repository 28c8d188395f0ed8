// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMSpecial: the kernel cancels the timers and work queues of a map within the
// close(2) that lets go of it, once for each map. That takes longer than to close a map
// without. The references that kptrs hold are dropped by the free, which takes longer then.
func TestVMSpecial(t *testing.T) {
	t.Parallel()
	closing, freeing := map[string]float64{}, map[string]int64{}
	fields := []string{"none", "timer", "workqueue", "kptr-ref"}
	for i, d := range trialsIn(t, "6.12", results.ClockWall, "special", "--field=none", "--field=timer", "--field=workqueue", "--field=kptr-ref") {
		field, s := fields[i], d.Scenario
		if s == nil {
			t.Fatalf("%s: %s", field, d.Refused)
		}
		tr := &s.Trials[0]
		if tr.Puts != 20 || tr.Freed != 20 || tr.Lost != 0 {
			t.Errorf("%s: %d puts, %d freed, %d lost", field, tr.Puts, tr.Freed, tr.Lost)
		}
		took, within := s.Metrics["special.close"], s.Metrics["special.cancel.close"]
		closing[field] = took.P50
		freeing[field] = s.Phases[results.PhaseFree].P50NS
		cancelled := field == "timer" || field == "workqueue"
		if want := uint64(20); took.N != want || cancelled && within.N != want || !cancelled && within.N != 0 {
			t.Errorf("%s: %d closes, in %d of them fields were cancelled", field, took.N, within.N)
		}
		if within.P50 > took.P50 {
			t.Errorf("%s: cancelling took %v ns, and the close that it is in %v", field, within.P50, took.P50)
		}
	}
	t.Logf("close(2) of a map: %v ns, its free %v ns", closing, freeing)
	if freeing["kptr-ref"] < 2*freeing["none"] {
		t.Errorf("the free of a map with 1024 kptrs takes no longer than that of one without: %v ns", freeing)
	}
	if closing["timer"] <= closing["none"] || closing["workqueue"] <= closing["none"] {
		t.Errorf("close(2) of a map with 1024 fields takes %v ns", closing)
	}
}
