// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestChurnCheck(t *testing.T) {
	for _, tt := range []struct {
		args     string
		strategy string
		want     string // in the error; empty: none
	}{
		{"", StrategyRCU, ""},
		{"--outer=hash-of-maps --inner=lru-hash --slots=8 --batch=8 --rate=100 --readers=2", StrategyTasksTrace, ""},
		{"", StrategySync, ""},
		{"--inner=devmap", StrategySync, ""},
		{"--inner=array", StrategySync, "map_free waits"},
		{"", "expedite", "unknown strategy"},
		{"--outer=map", StrategyRCU, "--outer"},
		{"--inner=trie", StrategyRCU, "--inner"},
		{"--op=swap", StrategyRCU, "--op"},
		{"--slots=0", StrategyRCU, "--slots"},
		{"--batch=2", StrategyRCU, "--batch"},
		{"--batch=0", StrategyRCU, "--batch"},
		{"--slots=4 --batch=4 --op=delete", StrategyRCU, "hash-of-maps"},
		{"--rate=-1", StrategyRCU, "--rate"},
		{"--rate=NaN", StrategyRCU, "--rate"},
		{"--rate=1e-300", StrategyRCU, "--rate"},
		{"--rate=0.001", StrategyRCU, ""},
		{"--rate=+Inf", StrategyRCU, "--rate"},
		{"--readers=-1", StrategyRCU, "--readers"},
		{"--duration=-1s", StrategyRCU, "--duration"},
		{"--inner-entries=0", StrategyRCU, "--inner-entries"},
		{"--inner-value-size=0", StrategyRCU, "--inner-value-size"},
	} {
		checkArgs(t, new(Churn), tt.args, tt.strategy, tt.want)
	}
}

func TestChurnSaysWhatItDoesByDefault(t *testing.T) {
	c := new(Churn)
	fs := pflag.NewFlagSet("churn", pflag.ContinueOnError)
	c.AddFlags(fs)
	if err := c.Check(StrategySync); err != nil {
		t.Fatal(err)
	}
	if p := Params(fs); p["count"] != "300" || p["inner"] != "devmap" {
		t.Errorf("params %v", p)
	}
}

// TestChurnAtLeast: what its parameters say of its length.
func TestChurnAtLeast(t *testing.T) {
	for _, tt := range []struct {
		c    Churn
		want time.Duration
	}{
		{Churn{Count: 300}, 0},
		{Churn{Count: 1000, Rate: 1}, 1000 * time.Second},
		{Churn{Duration: 15 * time.Minute}, 15 * time.Minute},
		{Churn{Count: 10, Rate: 1, Duration: 15 * time.Minute}, 10 * time.Second},
		{Churn{Count: 100, Rate: 1000, HoldReader: "rcu=1s"}, 100 * time.Second},
		{Churn{Count: 100, Rate: 1, HoldReader: "rcu=0s,5s"}, 250 * time.Second},
		{Churn{Count: 1 << 60, Rate: 1e-9}, math.MaxInt64},
	} {
		if got := tt.c.AtLeast(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.c, got, tt.want)
		}
	}
}

// TestSleepUntil: the end of the duration and an interrupt are not waited past.
func TestSleepUntil(t *testing.T) {
	now := time.Now()
	if !sleepUntil(t.Context(), now.Add(-time.Hour), now, 0) || !sleepUntil(t.Context(), now.Add(time.Millisecond), now, time.Hour) {
		t.Error("there is one more")
	}
	if sleepUntil(t.Context(), now.Add(time.Hour), now, 5*time.Millisecond) {
		t.Error("one after the duration")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sleepUntil(ctx, now.Add(time.Hour), now, 0) {
		t.Error("one after an interrupt")
	}
	if took := time.Since(now); took > time.Minute {
		t.Errorf("that took %v", took)
	}
}
