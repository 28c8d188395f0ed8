// SPDX-License-Identifier: Apache-2.0

package selftest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// TestCutRun gates every cut of a run, with so many trials that one less would
// still be enough of them.
func TestCutRun(t *testing.T) {
	const everything = "version: 1\nrules: [{metrics: ['**'], action: block, relative: 1%}]"
	for name, c := range map[string]struct {
		policy  gate.Policy
		trials  int
		metrics int // cuts
	}{
		"default":    {gate.DefaultPolicy(), 8, 2 * 2 * 8},
		"one trial":  {gate.DefaultPolicy(), 1, 2 * 8},
		"everything": {readPolicy(t, everything), 8, 2 * 2 * 8},
		"nothing":    {readPolicy(t, "version: 1\nrules: [{metrics: ['**'], action: advise, relative: 1%}]"), 8, 2 * 2 * 8},
		"accepted":   {readPolicy(t, "version: 1\naccept: [figures]"), 8, -1},
	} {
		whole, more := synthetic.Seeded(c.trials, 0.0001, 1, results.ClockICount, 1), synthetic.Seeded(c.trials, 0.0001, 1, results.ClockICount, 2)
		more.Scenarios[0].ID, more.Scenarios[0].Workload = "other", "other"
		if err := analyze.Merge(whole, more); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		kinds, err := CutsOf(data, c.policy)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds {
			if k.Kind == "metrics removed" && len(k.Cuts) != c.metrics {
				t.Errorf("%s: %d cuts of metrics, want %d", name, len(k.Cuts), c.metrics) // with -1 there is no such kind
			}
			if k.Kind == "scenarios removed" && len(k.Cuts) != 3 {
				t.Errorf("%s: %d cuts of scenarios", name, len(k.Cuts))
			}
			if len(k.Cuts) == 0 {
				t.Errorf("%s: nothing of %s", name, k.Kind)
			}
			for _, cut := range k.Cuts {
				want := k.Want
				switch {
				case c.trials == 1:
					want = gate.VerdictInconclusive
				case want == gate.VerdictRegression && name == "nothing": // blocks
					want = gate.VerdictPass
				}
				if data, err := json.Marshal(cut.Run); err != nil {
					t.Error(err)
				} else if _, err := results.DecodeRun(data); (err != nil) != (k.Kind == "trials removed" && !strings.HasSuffix(cut.What, "counted anew")) {
					t.Errorf("%s: without %s: what is left is no valid run, but for totals of trials that are gone: %v", name, cut.What, err)
				}
				w, r := compare.Input{Name: "whole", Run: whole}, compare.Input{Name: "cut", Run: cut.Run}
				if v := gate.Judge(w, r, nil, c.policy); v.Verdict != want {
					t.Errorf("%s: without %s: %s, want %s: %q", name, cut.What, v.Verdict, want, v.Reasons)
				}
				if v := gate.Judge(r, w, nil, c.policy); k.BothSides && v.Verdict != want {
					t.Errorf("%s: baseline without %s: %s, want %s: %q", name, cut.What, v.Verdict, want, v.Reasons)
				}
			}
		}
	}
	if _, err := CutsOf([]byte("{"), gate.DefaultPolicy()); err == nil {
		t.Error("half a run is cut")
	}
}
