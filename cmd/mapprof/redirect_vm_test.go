// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// redirectKernels are those of the tests of redirects, and whether they make live frames.
var redirectKernels = []struct {
	name string
	live bool
}{{"5.10", false}, {"6.1", true}, {"6.12", true}, {"7.2", true}}

const bursts, frames = 10, 64

// TestVMRedirect: every frame arrives, in bulks as large as the kernel's queues, and each
// map that dies is accounted for.
func TestVMRedirect(t *testing.T) {
	t.Parallel()
	const maps = 10
	for _, k := range redirectKernels {
		var flags []string
		tos, bulks := []string{"devmap", "devmap-hash", "cpumap"}, []float64{16, 16, 8}
		for _, to := range tos {
			flags = append(flags, fmt.Sprintf("--to=%s --bursts=%d --count=%d", to, bursts, maps))
		}
		flags = append(flags, fmt.Sprintf("--to=ifindex --bursts=%d", bursts)) // no map dies
		for i, d := range trialsIn(t, k.name, results.ClockWall, "redirect", flags...) {
			switch what := k.name + ", " + flags[i]; {
			case d.Scenario == nil:
				t.Errorf("%s: %s", what, d.Refused)
			case i == len(tos):
				checkRedirect(t, d.Scenario, what, k.live, 16, 0)
			default:
				checkRedirect(t, d.Scenario, what, k.live, bulks[i], maps)
			}
		}
	}
}

// TestVMRedirectRun: a run boots with the modules that a redirect needs.
func TestVMRedirectRun(t *testing.T) {
	t.Parallel()
	run := runVM(t, "--boot", "fresh", "--workload", "redirect", "--to", "devmap", "--bursts", strconv.Itoa(bursts), "--count", "10", "--kernel", "6.12")
	checkRedirect(t, &run.Scenarios[0], "6.12, devmap", true, 16, 10)
}

// checkRedirect checks a trial, in which that many of the maps died that say where frames
// go. Live is whether the kernel makes live frames.
func checkRedirect(t *testing.T, s *results.Scenario, what string, live bool, bulk float64, maps uint64) {
	t.Helper()
	tr := &s.Trials[0]
	if tr.Puts != maps || tr.Freed != maps || tr.Lost != 0 {
		t.Errorf("%s: %d puts, %d freed, %d lost, of %d maps", what, tr.Puts, tr.Freed, tr.Lost, maps)
	}
	if wait := s.Phases[results.PhaseFreeWait]; wait.N != maps {
		t.Errorf("%s: %d of %d frees waited", what, wait.N, maps)
	}
	// Each burst arrives whole: those that are timed, those that are counted, and one
	// through each map that dies.
	sent, arrived := s.Metrics["redirect.sent"], s.Metrics["redirect.arrived"]
	if want := float64((2*bursts + maps) * frames); sent.Mean != want || arrived.Mean != want {
		t.Errorf("%s: %v frames were redirected, %v arrived, want %v", what, sent.Mean, arrived.Mean, want)
	}
	if sent, arrived := s.Metrics["redirect.passing.sent"], s.Metrics["redirect.passing.arrived"]; maps > 0 && (sent.Mean < frames || arrived.Mean != sent.Mean) {
		t.Errorf("%s: while maps died %v frames were redirected, and %v arrived", what, sent.Mean, arrived.Mean)
	}
	bulks, flushes := s.Metrics["redirect.bulk.frames"], s.Metrics["redirect.flush.frames"]
	if bulks.Max != bulk || math.Round(bulks.Mean*float64(bulks.N)) != bursts*frames || bulks.Mean < bulk/2 {
		t.Errorf("%s: bulks %+v", what, bulks)
	}
	if flushes.Max != frames || math.Round(flushes.Mean*float64(flushes.N)) != bursts*frames || flushes.Mean <= bulks.Mean {
		t.Errorf("%s: flushes %+v", what, flushes)
	}
	if calls := s.Metrics["redirect.bulk"]; calls.N != bulks.N || s.Metrics["redirect.bulk.frame"].P50 <= 0 || s.Metrics["redirect.flush"].N < flushes.N {
		t.Errorf("%s: %d bulks were timed of %d, flushes %+v", what, calls.N, bulks.N, s.Metrics["redirect.flush"])
	}
	if whole, segments := s.Metrics["redirect.frame.live"], s.Metrics["redirect.frame.segments"]; (whole.N > 0) != live || (segments.N > 0) == live {
		t.Errorf("%s: live frames %+v, segments %+v", what, whole, segments)
	}
}
