// SPDX-License-Identifier: Apache-2.0

package model

import (
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestBatchNote: waits are told by operation where one replaces several maps.
func TestBatchNote(t *testing.T) {
	for _, tt := range []struct {
		batch string
		waits uint64
		want  string
	}{{"32", 320, " (32 an operation)"}, {"32", 10, " (1 an operation)"}, {"1", 10, ""}, {"", 10, ""}, {"32", 0, ""}} {
		s := &results.Scenario{Params: map[string]string{"batch": tt.batch}, Trials: []results.Trial{{Ops: 4}, {Ops: 6}},
			Phases: map[string]results.Stats{results.PhaseUpdateWait: {N: tt.waits}}}
		if got := BatchNote(s); got != tt.want {
			t.Errorf("%d waits in batches of %s: %q, want %q", tt.waits, tt.batch, got, tt.want)
		}
	}
}

// TestCallWaits: calls that wait are named with how often, and what wasn't counted isn't
// told to wait never.
func TestCallWaits(t *testing.T) {
	waits := func(p50 float64) results.Metric { return results.Metric{N: 5, P50: p50, Unit: "waits/op"} }
	for want, metrics := range map[string]map[string]results.Metric{
		"":                                 {"calls.array.lookup": {N: 5, P50: 3, Unit: "ns"}, "calls.array.lookup.waits": {Unit: "waits/op"}},
		"no call waits for a grace period": {"calls.array.lookup.waits": waits(0)},
		"waits for a grace period in one call (p50): array-of-maps.update-batch\u00a032, array-of-maps.update\u00a01; others have none": {
			"calls.array-of-maps.update.waits": waits(1), "calls.array-of-maps.update-batch.waits": waits(32), "calls.array-of-maps.lookup.waits": waits(0)},
	} {
		if got := CallWaits(&results.Scenario{Metrics: metrics}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
