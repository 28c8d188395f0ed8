// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// TestReboots: a boot that was repeated is told of, and more of them than chance
// makes are no evidence.
func TestReboots(t *testing.T) {
	policy := DefaultPolicy()
	for _, tt := range []struct {
		trials  int
		reboots []int // of the candidate's first trials
		note    string
		reason  string
	}{
		{6, nil, "", ""},
		{6, []int{1}, "candidate: 1 of 7 boots ended in a panic", ""},
		{6, []int{1, 1}, "", "candidate: 2 of 8 boots ended in a panic"},
		{6, []int{2}, "", "candidate: 2 of 8 boots ended in a panic"},
		{24, []int{1, 1}, "candidate: 2 of 26 boots ended in a panic", ""},
	} {
		a, b := synthetic.Seeded(tt.trials, 0, 1, results.ClockICount, 1), synthetic.Seeded(tt.trials, 0, 1, results.ClockICount, 2)
		for i, n := range tt.reboots {
			b.Scenarios[0].Trials[i].Reboots = n
		}
		v := Judge(compare.Input{Name: "baseline", Run: a}, compare.Input{Name: "candidate", Run: b}, nil, policy)
		notes, reasons := strings.Join(v.Notes, "\n"), strings.Join(v.Reasons, "\n")
		if !strings.Contains(notes, tt.note) || strings.Contains(notes, "ended in a panic") != (tt.note != "") {
			t.Errorf("%d trials, %v: notes %q", tt.trials, tt.reboots, notes)
		}
		if !strings.Contains(reasons, tt.reason) || (v.Verdict == VerdictInconclusive) != (tt.reason != "") {
			t.Errorf("%d trials, %v: %s, %q", tt.trials, tt.reboots, v.Verdict, reasons)
		}
	}
}
