// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hold

import (
	"slices"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
)

func TestParseHold(t *testing.T) {
	for _, tt := range []struct {
		text, kind string
		lengths    []time.Duration
		bad        bool
	}{
		{text: ""},
		{text: "rcu=20ms", kind: results.StrategyRCU, lengths: []time.Duration{20 * time.Millisecond}},
		{text: "tasks-trace=1m", kind: results.StrategyTasksTrace, lengths: []time.Duration{time.Minute}},
		{text: "rcu=0s,20ms,5s", kind: results.StrategyRCU, lengths: []time.Duration{0, 20 * time.Millisecond, 5 * time.Second}},
		{text: "rcu=0s", bad: true},
		{text: "rcu=20ms,", bad: true},
		{text: "rcu=20ms,6s", bad: true},
		{text: "rcu=6s", bad: true},
		{text: "tasks-trace=61s", bad: true},
		{text: "rcu=999us", bad: true},
		{text: "rcu=-1s", bad: true},
		{text: "rcu", bad: true},
		{text: "rcu=", bad: true},
		{text: "=20ms", bad: true},
		{text: "srcu=20ms", bad: true},
		{text: "immediate=20ms", bad: true},
	} {
		kind, lengths, err := Parse(tt.text)
		if (err != nil) != tt.bad || err == nil && (kind != tt.kind || !slices.Equal(lengths, tt.lengths)) {
			t.Errorf("%q: %q %v %v", tt.text, kind, lengths, err)
		}
	}
}
