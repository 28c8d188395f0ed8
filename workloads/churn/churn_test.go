// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestChurnCheck(t *testing.T) {
	for _, tt := range []struct {
		args     string
		strategy string
		want     string // in the error; empty: none
	}{
		{"", results.StrategyRCU, ""},
		{"--outer=hash-of-maps --inner=lru-hash --slots=8 --batch=8 --rate=100 --readers=2", results.StrategyTasksTrace, ""},
		{"", results.StrategySync, ""},
		{"--inner=devmap", results.StrategySync, ""},
		{"--inner=array", results.StrategySync, "map_free waits"},
		{"", "expedite", "unknown strategy"},
		{"--outer=map", results.StrategyRCU, "--outer"},
		{"--inner=trie", results.StrategyRCU, "--inner"},
		{"--op=swap", results.StrategyRCU, "--op"},
		{"--slots=0", results.StrategyRCU, "--slots"},
		{"--batch=2", results.StrategyRCU, "--batch"},
		{"--batch=0", results.StrategyRCU, "--batch"},
		{"--slots=4 --batch=4 --op=delete", results.StrategyRCU, "hash-of-maps"},
		{"--rate=-1", results.StrategyRCU, "--rate"},
		{"--rate=NaN", results.StrategyRCU, "--rate"},
		{"--rate=1e-300", results.StrategyRCU, "--rate"},
		{"--rate=0.001", results.StrategyRCU, ""},
		{"--rate=+Inf", results.StrategyRCU, "--rate"},
		{"--readers=-1", results.StrategyRCU, "--readers"},
		{"--duration=-1s", results.StrategyRCU, "--duration"},
		{"--inner-entries=0", results.StrategyRCU, "--inner-entries"},
		{"--inner-value-size=0", results.StrategyRCU, "--inner-value-size"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, tt.strategy, tt.want)
	}
}

func TestChurnSaysWhatItDoesByDefault(t *testing.T) {
	c := new(Workload)
	fs := pflag.NewFlagSet("churn", pflag.ContinueOnError)
	c.AddFlags(fs)
	if err := c.Check(results.StrategySync); err != nil {
		t.Fatal(err)
	}
	if p := workloads.Params(fs); p["count"] != "300" || p["inner"] != "devmap" {
		t.Errorf("params %v", p)
	}
}

// TestChurnAtLeast: what its parameters say of its length.
func TestChurnAtLeast(t *testing.T) {
	for _, tt := range []struct {
		c    Workload
		want time.Duration
	}{
		{Workload{Count: 300}, 0},
		{Workload{Count: 1000, Rate: 1}, 1000 * time.Second},
		{Workload{Duration: 15 * time.Minute}, 15 * time.Minute},
		{Workload{Count: 10, Rate: 1, Duration: 15 * time.Minute}, 10 * time.Second},
		{Workload{Count: 100, Rate: 1000, HoldReader: "rcu=1s"}, 100 * time.Second},
		{Workload{Count: 100, Rate: 1, HoldReader: "rcu=0s,5s"}, 250 * time.Second},
		{Workload{Count: 1 << 60, Rate: 1e-9}, math.MaxInt64},
	} {
		if got := tt.c.AtLeast(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.c, got, tt.want)
		}
	}
}

// TestAchievedRate: a loop that keeps up has the rate that was asked for,
// however few its operations are.
func TestAchievedRate(t *testing.T) {
	for _, tt := range []struct {
		ops  uint64
		took time.Duration
		want float64
	}{
		{0, time.Second, 0},
		{1, 3 * time.Millisecond, 200},
		{200, 995 * time.Millisecond, 200},
		{200, time.Second, 200},
		{200, 8 * time.Second, 25},
	} {
		if got := achievedRate(tt.ops, 200, tt.took); got != tt.want {
			t.Errorf("%d operations in %v: %v a second, want %v", tt.ops, tt.took, got, tt.want)
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
