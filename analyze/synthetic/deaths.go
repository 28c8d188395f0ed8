// SPDX-License-Identifier: Apache-2.0

package synthetic

import (
	"math/rand/v2"

	"github.com/mapprof/mapprof/results"
)

// Stacks are the stacks of RandomDeaths.
var Stacks = map[string][]results.Frame{
	"syscall": {
		{Function: "bpf_map_free_id", Offset: 5},
		{Function: "bpf_map_put", Offset: 0x2e},
		{Function: "bpf_map_update_value", Offset: 0x11},
		{Function: "__x64_sys_bpf", Offset: 0x1a},
		{Function: "entry_SYSCALL_64_after_hwframe", Offset: 0x76},
	},
	"module": {
		{Function: "bpf_map_free_id", Offset: 5},
		{Function: "bpf_map_put", Offset: 0x3f},
		{Function: "helper_in_module", Module: "virtio_net", Offset: 0x10},
		{Function: "bpf_prog_0123456789abcdef_drop", Module: "bpf", Offset: 0x40},
	},
}

// death makes a death of one of the four strategies, sometimes with
// phases of no length at all.
func death(r *rand.Rand) results.Death {
	step := func(limit int64) int64 {
		if r.IntN(8) == 0 {
			return 0
		}
		return r.Int64N(limit)
	}
	d := results.Death{
		Scenario: []string{"churn-rcu", "churn-tt", "unknown"}[r.IntN(3)],
		MapType:  []string{"Array", "Hash"}[r.IntN(2)],
		MapName:  "mp_inner",
		Outer:    "ArrayOfMaps",
		Comm:     "mapprof",
		MemBytes: r.Uint64N(1 << 22),
		Stack:    []string{"syscall", "module", "", "gone"}[r.IntN(4)],
		PutNS:    1 + r.Int64N(1e12),
	}
	now := d.PutNS
	next := func(limit int64) int64 { now += step(limit); return now }
	switch r.IntN(4) {
	case 0:
		d.Path = "immediate"
	case 1:
		d.Path, d.EnqueueNS, d.RCUEnqueueNS = "rcu", next(1e4), now
		d.RCUEndNS = next(3e7)
	case 2:
		d.Path, d.EnqueueNS = "tasks-trace+rcu", next(1e4)
		d.TasksTraceEndNS = next(3e8)
		d.RCUEnqueueNS, d.RCUEndNS = now, next(3e7)
	case 3:
		d.Path, d.EnqueueNS, d.RCUEnqueueNS = "rcu+sync", next(1e4), now
		d.RCUEndNS, d.FreeWaitNS = next(3e7), 1
	}
	d.FreeNS = next(1e6)
	d.FreedNS = next(1e7) + d.FreeWaitNS
	return d
}

// Deaths makes n deaths of all strategies, of two scenarios and an unknown
// one. Equal seeds give equal deaths.
func Deaths(seed uint64, n int) []results.Death {
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([]results.Death, n)
	for i := range out {
		out[i] = death(r)
	}
	return out
}
