// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/results"
)

// hashWaitsForNone: when a hash of maps dies, its inner maps wait for no grace period,
// on any kernel. (The one map more was taken out while the hash lived.)
func hashWaitsForNone(s *results.Scenario) string {
	if s.Params["outer"] == "array-of-maps" {
		return ""
	}
	waited := uint64(0)
	for path, n := range s.Strategy.Paths {
		if path != results.StrategyImmediate {
			waited += n
		}
	}
	if waited > 1 {
		return fmt.Sprintf("%d inner maps of a dying %s waited for a grace period", waited-1, s.Params["outer"])
	}
	return ""
}

// sleepersAreWaitedFor: no inner map is freed before a tasks-trace grace period where a
// sleepable program uses the outer map.
func sleepersAreWaitedFor(s *results.Scenario) string {
	if s.Strategy.Requested != results.StrategyTasksTrace {
		return ""
	}
	early := uint64(0)
	for path, n := range s.Strategy.Paths {
		if !strings.Contains(path, results.StrategyTasksTrace) {
			early += n
		}
	}
	if early > 0 {
		return fmt.Sprintf("%d maps were freed without a tasks-trace grace period while a sleepable program used their outer map", early)
	}
	return ""
}

// eachByItself: each global function is verified by a call of its own, beside the
// program's, and static functions within the program's. (A load that a signal interrupts
// is begun again, and has more.)
func eachByItself(s *results.Scenario) string {
	globals, statics := s.Metrics["programs.verify.calls.globals"], s.Metrics["programs.verify.calls.statics"]
	want, err := strconv.ParseFloat(s.Params["globals"], 64)
	if err != nil || globals.N == 0 || globals.Min != want+1 || globals.P50 != want+1 || statics.Min != 1 || statics.P50 != 1 {
		return fmt.Sprintf("%s global functions were verified by %v calls, most often by %v, static ones by %v, most often by %v",
			s.Params["globals"], globals.Min, globals.P50, statics.Min, statics.P50)
	}
	return ""
}

// oneMaskEach: an inlined lookup in a map that CAP_BPF alone created has one instruction
// more, its index's mask; from an array of maps there are two such lookups.
func oneMaskEach(s *results.Scenario) string {
	with, without := s.Metrics["code.inlined-unprivileged"], s.Metrics["code.inlined"]
	want := 1.0
	if s.Params["map"] == "array-of-maps" {
		want = 2
	}
	if got := with.P50 - without.P50; with.N == 0 || without.N == 0 || got != want {
		return fmt.Sprintf("%v BPF instructions more where CAP_BPF alone created the map, not %v", got, want)
	}
	return ""
}

// allArriveInBulks: every frame that was redirected arrives, and no queue holds more than
// the kernel's bound. A redirect to a device's index goes through one, too.
func allArriveInBulks(s *results.Scenario) string {
	sent, arrived := s.Metrics["redirect.sent"], s.Metrics["redirect.arrived"]
	if sent.N == 0 || sent.Mean != arrived.Mean {
		return fmt.Sprintf("%.0f frames were redirected to %s, and %.0f arrived", sent.Mean, s.Params["to"], arrived.Mean)
	}
	bound := 16.0 // DEV_MAP_BULK_SIZE
	if s.Params["to"] == "cpumap" {
		bound = 8 // CPU_MAP_BULK_SIZE
	}
	if bulk := s.Metrics["redirect.bulk.frames"]; bulk.N == 0 || bulk.Mean <= 1 || bulk.Max > bound {
		return fmt.Sprintf("%d bulks to %s have %.1f frames, and at most %.0f (the queue takes %.0f)", bulk.N, s.Params["to"], bulk.Mean, bulk.Max, bound)
	}
	return ""
}

// allOrNoneWaitInFree: a kernel waits for an RCU-tasks grace period in every such free or
// in none.
func allOrNoneWaitInFree(s *results.Scenario) string {
	if n, all := s.Phases[results.PhaseFreeWait].N, s.Phases[results.PhaseFree].N; n != 0 && n != all {
		return fmt.Sprintf("%d of %d frees waited for a grace period", n, all)
	}
	return ""
}

// allOrNoneExpedited: a kernel expedites every such wait or none.
func allOrNoneExpedited(s *results.Scenario) string {
	expedited := uint64(0)
	for _, t := range s.Trials {
		expedited += t.Expedited
	}
	if n := s.Phases[results.PhaseUpdateWait].N; expedited != 0 && expedited != n {
		return fmt.Sprintf("%d of %d waits of an update were expedited", expedited, n)
	}
	return ""
}
