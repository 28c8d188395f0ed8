// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// TestStuck: a death that is pending for longer than asked is told of once, and has
// the time of its end when it comes.
func TestStuck(t *testing.T) {
	o := NewOwners(nil, nil)
	var told []results.Stuck
	o.WatchStuck(time.Second, func(s *results.Stuck) { told = append(told, *s) })
	e := &probes.DeathEvent{MapId: 7, PutNs: 1e9}
	e.StageKind[0] = probes.StageKindTasksTrace
	d := &results.Death{MapID: 7, PutNS: 1e9, Path: results.StrategyTasksTrace, Owner: &results.Owner{OuterName: "routes", PinnedBy: []string{"sleeper of agent"}}}
	for _, at := range []int64{1.5e9, 1.999e9, 2e9, 3e9} {
		o.pending(d, &probes.Pending{OwnedDeath: probes.OwnedDeath{Death: *e}}, at)
	}
	if len(told) != 1 || told[0].SeenNS != 2e9 || told[0].Phase != results.PhaseTasksTraceGP || told[0].OuterName != "routes" || len(told[0].PinnedBy) != 1 {
		t.Fatalf("told of %+v", told)
	}
	e.FreedNs = 5e9
	o.stuck.ended(e)
	if found, more := o.Stuck(); len(found) != 1 || found[0].FreedNS != 5e9 || more != 0 {
		t.Errorf("%+v, %d more", found, more)
	}
}

// TestStuckIsBounded: of many a few are kept, and all are counted.
func TestStuckIsBounded(t *testing.T) {
	o := NewOwners(nil, nil)
	told := 0
	o.WatchStuck(time.Second, func(*results.Stuck) { told++ })
	for i := range uint32(1000) {
		e := &probes.DeathEvent{MapId: i, PutNs: 1}
		for range 2 {
			o.pending(&results.Death{MapID: i, PutNS: 1}, &probes.Pending{OwnedDeath: probes.OwnedDeath{Death: *e}}, 5e9)
		}
		o.stuck.ended(e)
	}
	if found, more := o.Stuck(); len(found) != results.MaxStuck || more != 1000-results.MaxStuck || told != results.MaxStuck || len(o.stuck.index) != 0 {
		t.Errorf("%d kept, %d more, %d told of, %d are remembered", len(found), more, told, len(o.stuck.index))
	}
	o.WatchStuck(0, nil)
	o.pending(&results.Death{PutNS: 1}, &probes.Pending{OwnedDeath: probes.OwnedDeath{Death: probes.DeathEvent{PutNs: 1}}}, 5e18)
}

func TestPhaseOf(t *testing.T) {
	both := [2]uint32{probes.StageKindTasksTrace, probes.StageKindRCU}
	for _, tt := range []struct {
		want string
		e    probes.DeathEvent
	}{
		{results.PhaseQueue, probes.DeathEvent{}},
		{results.PhaseRCUGP, probes.DeathEvent{StageKind: [2]uint32{probes.StageKindRCU}}},
		{results.PhaseQueue, probes.DeathEvent{StageKind: [2]uint32{probes.StageKindRCU}, EndNs: [2]uint64{5}}},
		{results.PhaseTasksTraceGP, probes.DeathEvent{StageKind: [2]uint32{probes.StageKindTasksTrace}}},
		{results.PhaseRCUGP, probes.DeathEvent{StageKind: both, EndNs: [2]uint64{5}}},
		{results.PhaseQueue, probes.DeathEvent{StageKind: both, EndNs: [2]uint64{5, 6}}},
		{results.PhaseFree, probes.DeathEvent{StageKind: both, EndNs: [2]uint64{5, 6}, FreeNs: 7}},
	} {
		d := results.Death{Path: (&decoder{paths: map[pathKey]string{}}).path(&tt.e)}
		reached(&d, &tt.e)
		if got := d.PhaseNow(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.e, got, tt.want)
		}
	}
}

func TestRCUText(t *testing.T) {
	for _, tt := range []struct {
		seq   uint64
		state uint32
		want  string
	}{
		{8, 0, "no RCU grace period under way (gp_seq 8, RCU_GP_IDLE)"},
		{9, 5, "RCU grace period under way (gp_seq 9, RCU_GP_WAIT_FQS)"},
		{9, 99, "RCU grace period under way (gp_seq 9, 99)"},
	} {
		if got := rcuText(tt.seq, tt.state); got != tt.want {
			t.Errorf("%d, %d: %q, want %q", tt.seq, tt.state, got, tt.want)
		}
	}
}

// TestWorkerStack: a worker is told with its innermost functions, or as running.
func TestWorkerStack(t *testing.T) {
	const stack = "[<0>] __wait_rcu_gp+0x14d/0x160\n[<0>] synchronize_rcu+0x6f/0x90\n[<0>] dev_map_free+0x2c/0x1b0\n"
	if got, want := workerStack(9, "kworker/0:1", stack), "kworker/0:1 (pid 9) in __wait_rcu_gp < synchronize_rcu < dev_map_free"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := workerStack(9, "kworker/0:1", strings.Repeat("[<0>] f+0x1/0x2\n", 100)); strings.Count(got, "f") != maxFrames {
		t.Errorf("%q", got)
	}
	for _, stack := range []string{"", "\n", "[<0>]\n"} {
		if got := workerStack(9, "kworker/0:1", stack); got != "kworker/0:1 (pid 9), which runs" {
			t.Errorf("%q: %q", stack, got)
		}
	}
	if got := workerText(0); got != "" {
		t.Errorf("no worker is %q", got)
	}
}

func TestWaitTexts(t *testing.T) {
	if got, want := cpuNumbers(1<<0|1<<3|1<<15, 16), []string{"16", "19", "31"}; !slices.Equal(got, want) {
		t.Errorf("CPUs %v, want %v", got, want)
	}
	for want, h := range map[string]probes.HolderItem{
		"no tasks-trace grace period under way (srcu_gp_seq 8, readers by index 0 and 2)": {File: 8, Fd: 2},
		"tasks-trace grace period in scan 2 (srcu_gp_seq 10, readers by index 1 and 0)":   {File: 10, Id: 1},
	} {
		if got := srcuText(&h); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
