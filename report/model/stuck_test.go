// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

func TestStuckTexts(t *testing.T) {
	stuck := results.Stuck{MapID: 7, MapName: "\x1b[2Jroute", OuterID: 3, OuterName: "routes", Phase: "tasks_trace_gp", PutNS: 1e9, SeenNS: 6e9,
		Worker: "kworker/0:1 (pid 4) in f < g", GracePeriod: "tasks-trace readers: agent (pid 9)", PinnedBy: []string{"sleeper of agent"}}
	tr := &results.Trial{Stuck: []results.Stuck{stuck, stuck, stuck, stuck, stuck}, MoreStuck: 5}
	tr.Stuck[1].FreedNS = 9e9
	texts := StuckTexts(tr)
	if len(texts) != maxStuck+1 || !strings.HasPrefix(texts[maxStuck], "7 more maps") {
		t.Errorf("%q", texts)
	}
	for i, want := range []string{
		"route of outer map 3 routes was still in tasks_trace_gp 5.00 s after its last put, and at the end of the trial; sleepable program sleeper of agent uses its outer map; freed by kworker/0:1 (pid 4) in f < g; tasks-trace readers: agent (pid 9)",
		"5.00 s after its last put, and was freed after 8.00 s; sleepable",
	} {
		if text := strings.ReplaceAll(texts[i], NBSP, " "); !strings.Contains(text, want) || strings.Contains(text, "\x1b") {
			t.Errorf("%q, want %q", text, want)
		}
	}
	if texts := StuckTexts(&results.Trial{}); texts != nil {
		t.Errorf("of none: %q", texts)
	}
}
