// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/results"
)

func TestTraceShowsGracePeriods(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Death(&results.Death{Scenario: "s", Path: "rcu", PutNS: 1000, FreeNS: 5000, FreedNS: 6000}); err != nil {
		t.Fatal(err)
	}
	run := &results.Run{Targets: []results.Target{{}}, Scenarios: []results.Scenario{{ID: "s", Trials: []results.Trial{{
		Phases: map[string]results.Stats{results.PhaseLimbo: {N: 1}},
		GracePeriods: []results.GracePeriod{
			{Kind: "rcu", StartNS: 10, EndNS: 900},    // before the first put
			{Kind: "rcu", StartNS: 900, EndNS: 2000},  // cut
			{Kind: "rcu", StartNS: 1900, EndNS: 2500}, // overlaps: cut
			{Kind: "tasks-trace", StartNS: 2000, EndNS: 4000},
			{Kind: "unheard-of", StartNS: 2000, EndNS: 4000},
		},
	}}}}}
	if err := w.Finish(run); err != nil {
		t.Fatal(err)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := WriteTrace(&out, d); err != nil {
		t.Fatal(err)
	}
	var trace struct {
		TraceEvents []struct {
			Cat     string
			Ts, Dur float64
			Tid     int
		}
	}
	if err := json.Unmarshal(out.Bytes(), &trace); err != nil {
		t.Fatal(err)
	}
	var got [][3]float64
	for _, e := range trace.TraceEvents {
		if e.Cat == "gp" {
			got = append(got, [3]float64{float64(e.Tid % 10), e.Ts, e.Dur})
		}
	}
	want := [][3]float64{{1, 0, 1}, {1, 1, 0.5}, {2, 1, 2}}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("grace period %d: track, start, length %v, want %v", i, got[i], want[i])
		}
	}
}
