// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
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

// redirects runs the workload on each kernel. The maps that say where frames go die, of
// which there are none by a device's index.
func redirects(t *testing.T, to string, bulk float64, maps uint64) {
	t.Parallel()
	const bursts, frames = 25, 64
	dir := filepath.Join(t.TempDir(), "run")
	args := []string{"run", "--target", "vm", "--workload", "redirect", "--to", to, "--bursts", strconv.Itoa(bursts), "-o", dir}
	if maps > 0 {
		args = append(args, "--count", strconv.FormatUint(maps, 10))
	}
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
		s := &d.Run.Scenarios[n]
		tr := &s.Trials[0]
		if tr.Puts != maps || tr.Freed != maps || tr.Lost != 0 {
			t.Errorf("%s: %d puts, %d freed, %d lost, of %d maps\n%s", s.Kernel, tr.Puts, tr.Freed, tr.Lost, maps, stdout)
		}
		if wait := s.Phases[results.PhaseFreeWait]; wait.N != maps {
			t.Errorf("%s: %d of %d frees waited", s.Kernel, wait.N, maps)
		}
		// Each burst arrives whole: those that are timed, those that are counted, and one
		// through each map that dies.
		sent, arrived := s.Metrics["redirect.sent"], s.Metrics["redirect.arrived"]
		if want := float64((2*bursts + maps) * frames); sent.Mean != want || arrived.Mean != want {
			t.Errorf("%s: %v frames were redirected, %v arrived, want %v", s.Kernel, sent.Mean, arrived.Mean, want)
		}
		if sent, arrived := s.Metrics["redirect.passing.sent"], s.Metrics["redirect.passing.arrived"]; maps > 0 && (sent.Mean < frames || arrived.Mean != sent.Mean) {
			t.Errorf("%s: while maps died %v frames were redirected, and %v arrived", s.Kernel, sent.Mean, arrived.Mean)
		}
		bulks, flushes := s.Metrics["redirect.bulk.frames"], s.Metrics["redirect.flush.frames"]
		if bulks.Max != bulk || math.Round(bulks.Mean*float64(bulks.N)) != bursts*frames || bulks.Mean < bulk/2 {
			t.Errorf("%s: bulks %+v", s.Kernel, bulks)
		}
		if flushes.Max != frames || math.Round(flushes.Mean*float64(flushes.N)) != bursts*frames || flushes.Mean <= bulks.Mean {
			t.Errorf("%s: flushes %+v", s.Kernel, flushes)
		}
		if calls := s.Metrics["redirect.bulk"]; calls.N != bulks.N || s.Metrics["redirect.bulk.frame"].P50 <= 0 || s.Metrics["redirect.flush"].N < flushes.N {
			t.Errorf("%s: %d bulks were timed of %d, flushes %+v", s.Kernel, calls.N, bulks.N, s.Metrics["redirect.flush"])
		}
		if live, segments := s.Metrics["redirect.frame.live"], s.Metrics["redirect.frame.segments"]; (live.N > 0) != k.live || (segments.N > 0) == k.live {
			t.Errorf("%s: live frames %+v, segments %+v", s.Kernel, live, segments)
		}
	}
}

// TestVMRedirectDevmap, and those below: every frame arrives, in bulks as large as the
// kernel's queues, also by a device's index, and each map that dies is accounted for.
func TestVMRedirectDevmap(t *testing.T)     { redirects(t, "devmap", 16, 10) }
func TestVMRedirectDevmapHash(t *testing.T) { redirects(t, "devmap-hash", 16, 10) }
func TestVMRedirectCPUMap(t *testing.T)     { redirects(t, "cpumap", 8, 10) }
func TestVMRedirectIfindex(t *testing.T)    { redirects(t, "ifindex", 16, 0) }
