// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// redirectKernels are those of the tests of redirects, and whether they make live frames.
var redirectKernels = []struct {
	name string
	live bool
}{{"5.10", false}, {"6.1", true}, {"6.12", true}, {"7.2", true}}

const bursts, frames = 25, 64

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
		for i, d := range trialsIn(t, k.name, results.ClockWall, "redirect", flags...) {
			if d.Scenario == nil {
				t.Errorf("%s, %s: %s", k.name, tos[i], d.Refused)
				continue
			}
			checkRedirect(t, d.Scenario, k.name+", "+tos[i], k.live, bulks[i], maps)
		}
	}
}

// TestVMRedirectIfindex: also by a device's index, where no map dies.
func TestVMRedirectIfindex(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	args := []string{"run", "--target", "vm", "--workload", "redirect", "--to", "ifindex", "--bursts", strconv.Itoa(bursts), "-o", dir}
	for _, k := range redirectKernels {
		args = append(args, "--kernel", k.name)
	}
	code, stdout, stderr := mapprof(t, args...)
	if code != exitOK {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Run.Scenarios); n != len(redirectKernels) {
		t.Fatalf("%d scenarios", n)
	}
	for n, k := range redirectKernels {
		checkRedirect(t, &d.Run.Scenarios[n], k.name, k.live, 16, 0)
	}
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
