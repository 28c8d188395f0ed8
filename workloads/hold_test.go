// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"testing"
	"time"
)

func TestParseHold(t *testing.T) {
	for _, tt := range []struct {
		text, kind string
		length     time.Duration
		bad        bool
	}{
		{text: ""},
		{text: "rcu=20ms", kind: StrategyRCU, length: 20 * time.Millisecond},
		{text: "tasks-trace=1m", kind: StrategyTasksTrace, length: time.Minute},
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
		kind, length, err := parseHold(tt.text)
		if (err != nil) != tt.bad || err == nil && (kind != tt.kind || length != tt.length) {
			t.Errorf("%q: %q %v %v", tt.text, kind, length, err)
		}
	}
}

func TestCheckHold(t *testing.T) {
	for _, tt := range []struct{ args, strategy, want string }{
		{"--hold-reader=rcu=20ms", StrategyRCU, ""},
		{"--hold-reader=tasks-trace=200ms", StrategyRCU, ""},
		{"--hold-reader=tasks-trace=200ms", StrategyImmediate, "no grace period"},
		{"--hold-reader=rcu=20ms", StrategySync, "no grace period"},
		{"--hold-reader=rcu=20ms --slots=2 --batch=2", StrategyRCU, "--batch"},
		{"--hold-reader=rcu=2s --duration=1s", StrategyRCU, "longer"},
		{"--hold-reader=sleep", StrategyRCU, "--hold-reader"},
	} {
		checkArgs(t, new(Churn), tt.args, tt.strategy, tt.want)
	}
}
