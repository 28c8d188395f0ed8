// SPDX-License-Identifier: Apache-2.0

package export

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// TestExportGitHub: what the action wants of an entry is there, and no name
// stands twice.
func TestExportGitHub(t *testing.T) {
	run := synthetic.Seeded(3, 0.05, 1, results.ClockWall, 1)
	var got []map[string]any
	if err := json.Unmarshal([]byte(export(t, "github-action-benchmark", exportDir(t, run))), &got); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range got {
		name, _ := g["name"].(string)
		unit, _ := g["unit"].(string)
		if v, ok := g["value"].(float64); name == "" || unit == "" || !ok || math.IsNaN(v) || names[name] {
			t.Errorf("%v", g)
		}
		names[name] = true
		if strings.Contains(name, "ops_per_s") {
			t.Errorf("%s: more of it is better", name)
		}
		if r, _ := g["range"].(string); !strings.HasPrefix(r, "± ") {
			t.Errorf("%s: range %q of three trials", name, r)
		}
		if name == "synthetic/rcu/limbo/p50" {
			var of []float64
			for _, tr := range run.Scenarios[0].Trials {
				of = append(of, float64(tr.Phases[results.PhaseLimbo].P50NS))
			}
			if v := g["value"]; unit != "ns" || v != of[0] && v != of[1] && v != of[2] {
				t.Errorf("%v, of trials %v", g, of)
			}
		}
	}
	if !names["synthetic/rcu/limbo/p50"] {
		t.Errorf("lacks the median of limbo: %v", names)
	}
	text := export(t, "github-action-benchmark", exportDir(t, evil(t)))
	if strings.Contains(text, "\x1b") || !json.Valid([]byte(text)) {
		t.Errorf("%q", text)
	}
}
