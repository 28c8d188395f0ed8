// SPDX-License-Identifier: Apache-2.0

package model

import (
	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// PhaseText says in words what a phase is.
var PhaseText = map[string]string{
	results.PhaseEnqueue:      "last put until the kernel asks for a grace period",
	results.PhaseTasksTraceGP: "RCU-tasks-trace grace period: until every sleepable program that might use the map has ended",
	results.PhaseRCUGP:        "RCU grace period: until every CPU has passed a quiescent state",
	results.PhaseQueue:        "callback and workqueue: until a kworker takes it on",
	results.PhaseFree:         "the free itself",
	results.PhaseLimbo:        "the whole, from last put to freed memory",
	results.PhaseUpdateWait:   "what an update or delete of the outer map waits in synchronize_rcu*()",
	results.PhaseOp:           "one operation of the workload as user space sees it",
}

// LongestPhase returns the phase with the greatest share of limbo.
func LongestPhase(phases map[string]results.Stats) (phase string, share float64) {
	for _, p := range results.DeathPhases() {
		if s, ok := analyze.Share(phases, p); ok && s > share {
			phase, share = p, s
		}
	}
	return phase, share
}
