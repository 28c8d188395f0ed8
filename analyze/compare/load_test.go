// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// atRate is a run of closed loops at so many times the usual rate, with so many times
// the memory and the time in queue.
func atRate(rate, memory float64) *results.Run {
	run := synthetic.Seeded(10, 0.001, 1, results.ClockWall, uint64(1000*rate))
	for i := range run.Scenarios[0].Trials {
		tr := &run.Scenarios[0].Trials[i]
		tr.DurationNS = uint64(float64(tr.DurationNS) / rate)
		tr.Limbo.PeakBytes = uint64(float64(tr.Limbo.PeakBytes) * memory)
		tr.Phases[results.PhaseQueue] = synthetic.Stats(8e3 * memory)
	}
	return run
}

// TestUnequalLoads: of closed loops at unequal rates nothing is claimed of memory and
// the queue that their rates would explain, and that is said.
func TestUnequalLoads(t *testing.T) {
	for _, tt := range []struct {
		rate, memory float64
		want         string
		warns        bool
	}{
		{20, 196, EffectLoad, true}, // as 7.2 against 6.12 at full rate
		{0.05, 0.1, EffectLoad, true},
		{0.5, 3, EffectWorse, true}, // with less to do
		{2, 0.25, EffectBetter, true},
		{1, 3, EffectWorse, false},
		{1.05, 3, EffectWorse, false},
	} {
		c, err := Runs([]Input{{"a", atRate(1, 1)}, {"b", atRate(tt.rate, tt.memory)}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, figure := range []string{FigurePeakBytes, "queue/p50"} {
			if got := cellOf(t, c, figure).Effect; got != tt.want {
				t.Errorf("%+v: %s is %s", tt, figure, got)
			}
		}
		if got := cellOf(t, c, "limbo/p50").Effect; got != EffectSame {
			t.Errorf("%+v: limbo/p50 is %s", tt, got)
		}
		if said := strings.Join(c.Warnings, "\n"); strings.Contains(said, "a and b: not under the same load (83.") != tt.warns {
			t.Errorf("%+v: warnings %q", tt, said)
		}
	}
}
