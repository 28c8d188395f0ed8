// SPDX-License-Identifier: Apache-2.0

//go:build linux

package teardown

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--outer=hash-of-maps --inner-count=10000", ""},
		{"--outer=tree", "--outer"},
		{"--inner-count=0", "--inner-count must be from 1 to 131072"},
		{"--inner-count=131073", "--inner-count must be from 1 to 131072"},
		{"--updates=0", "--updates must be from 1 to 1000"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyAny, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
}

// TestDeaths: every inner map, and the one that is taken out.
func TestDeaths(t *testing.T) {
	w := new(Workload)
	workloadtest.CheckArgs(t, w, "--inner-count=1000", results.StrategyAny, "")
	if got := w.Deaths(); got != 1001 {
		t.Errorf("%d deaths", got)
	}
	small := w.MemoryBytes(results.StrategyAny, 2)
	w.InnerCount = 10000
	if large := w.MemoryBytes(results.StrategyAny, 2); large < small+9000*320 {
		t.Errorf("%d bytes for 1000, %d for 10,000", small, large)
	}
}

// TestKeepUpdates: an update waited if a grace period did within it, on its thread.
func TestKeepUpdates(t *testing.T) {
	times := []workloads.Call{{TID: 7, BeginNS: 100, EndNS: 200}, {TID: 7, BeginNS: 300, EndNS: 400}, {TID: 7, BeginNS: 500, EndNS: 600}}
	calls := map[string]workloads.Calls{
		"waits":           {List: []workloads.Call{{TID: 7, BeginNS: 110, EndNS: 190}, {TID: 8, BeginNS: 310, EndNS: 390}, {TID: 7, BeginNS: 590, EndNS: 610}}},
		"waits.expedited": {List: []workloads.Call{{TID: 7, BeginNS: 120, EndNS: 130}}}, // within the other
	}
	i := &instance{cfg: &Workload{}, result: workloads.Result{Metrics: map[string]workloads.Metric{}}}
	i.keepUpdates(update{name: "update.failed.full", how: "no room", fails: true}, unix.E2BIG, times, calls)
	m := i.result.Metrics["update.failed.full.waits"]
	if len(m.Values) != 3 || m.Values[0] != 1 || m.Values[1] != 0 || m.Values[2] != 0 {
		t.Errorf("waits %v", m.Values)
	}
	if got := strings.Join(i.result.Findings, "\n"); got != "of 3 updates that fail with E2BIG (no room), 1 waited for a grace period" {
		t.Error(got)
	}
	if took := i.result.Metrics["update.failed.full"]; len(took.Values) != 3 || !strings.Contains(took.How, "E2BIG") {
		t.Errorf("%+v", took)
	}
	// Where nothing was seen there is no figure.
	i.result.Metrics = map[string]workloads.Metric{}
	i.keepUpdates(update{name: "update"}, 0, times, nil)
	if len(i.result.Metrics) != 1 {
		t.Errorf("%+v", i.result.Metrics)
	}
}
