// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"slices"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestTooMuchLost: each kind is held against what it is missing from, once.
func TestTooMuchLost(t *testing.T) {
	for name, tt := range map[string]struct {
		trial results.Trial
		want  []string
	}{
		"nothing":      {results.Trial{Puts: 1000}, nil},
		"at the limit": {results.Trial{Puts: 1000, Lost: 1, Loss: map[string]uint64{"ringbuf_full": 1}}, nil},
		"above it": {results.Trial{Puts: 1000, Lost: 2, Loss: map[string]uint64{"ringbuf_full": 1, "stale": 1}},
			[]string{"lost 2 of 1000 deaths (ringbuf_full 1, stale 1), above the limit of 0.1 %"}},
		"no figure lacks these": {results.Trial{Puts: 10, Loss: map[string]uint64{"recursion_misses": 343, "inflight_full": 448, "gp_ringbuf_full": 5, "stack_guess": 1}}, nil},
		"one lookup of many": {results.Trial{Loss: map[string]uint64{"lookup_recursion_misses": 1},
			Metrics: map[string]results.Metric{"lookup.syscall.function": {N: 100000}, "lookup.syscall": {N: 6250}}}, nil},
		"one lookup of some": {results.Trial{Loss: map[string]uint64{"lookup_start_unseen": 1},
			Metrics: map[string]results.Metric{"lookup.syscall.function": {N: 99}}},
			[]string{"lost 1 of 100 timed lookups (lookup_start_unseen 1), above the limit of 0.1 %"}},
		"waits": {results.Trial{Puts: 1000, Loss: map[string]uint64{"wait_ringbuf_full": 10},
			Phases: map[string]results.Stats{results.PhaseUpdateWait: {N: 90}}},
			[]string{"lost 10 of 100 update waits (wait_ringbuf_full 10), above the limit of 0.1 %"}},
		"callbacks": {results.Trial{Puts: 60, Loss: map[string]uint64{"unmatched_callback": 60}},
			[]string{"lost 60 of 60 grace periods of deaths (unmatched_callback 60), above the limit of 0.1 %"}},
	} {
		if got := tooMuchLost(&results.Scenario{Trials: []results.Trial{tt.trial}}, 0.001); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
