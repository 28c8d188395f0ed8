// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
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
		c := new(Churn)
		fs := pflag.NewFlagSet("churn", pflag.ContinueOnError)
		c.AddFlags(fs)
		if err := fs.Parse(strings.Fields(tt.args)); err != nil {
			t.Fatal(err)
		}
		err := c.Check(tt.strategy)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s %s: %v, want %q", tt.args, tt.strategy, err, tt.want)
		}
	}
}
