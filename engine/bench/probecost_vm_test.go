// SPDX-License-Identifier: Apache-2.0

//go:build vm

package bench

import (
	"testing"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// TestVMProbeCost holds docs/PERFORMANCE.md's limits: what a pair that times adds to
// an empty one and two reads of the clock, and what one that times a call in 16 does.
// From 7.0 on there are sessions, which cost more.
func TestVMProbeCost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kernel   string
		sessions bool
	}{{"6.1", false}, {"6.12", false}, {"7.2", true}} {
		vm := vmtest.VM(t, tt.kernel, func(m *target.Machine) { m.CPUs, m.Clock = 1, results.ClockICount })
		costs := map[string]probeCost{}
		for _, c := range vmtest.Call[[]probeCost](t, vm, taskProbeCost, probeCostConfig{}) {
			costs[c.Attached] = c
		}
		added := func(name string) float64 {
			c, found := costs[name]
			if !found {
				t.Fatalf("%s: %q is not measured: %v", tt.kernel, name, costs)
			}
			return c.Mean - costs[benchNothing].Mean
		}
		empty, clock := added(benchEmpty), added(benchClock)
		if own := added(benchOwn); own > clock+21.5 {
			t.Errorf("%s: the pair adds %.1f instructions, two clock reads in an empty one %.1f", tt.kernel, own, clock)
		}
		if sampled := added(benchSampled); sampled > 1.08*empty {
			t.Errorf("%s: with one call in 16 timed the pair adds %.1f instructions, an empty one %.1f", tt.kernel, sampled, empty)
		}
		if _, found := costs[benchOwnSess]; found != tt.sessions {
			t.Errorf("%s: sessions are measured: %v", tt.kernel, found)
		}
		if tt.sessions && added(benchOwnSess) < added(benchOwn) {
			t.Errorf("%s: a session adds %.1f instructions, less than the pair's %.1f", tt.kernel, added(benchOwnSess), added(benchOwn))
		}
	}
}
