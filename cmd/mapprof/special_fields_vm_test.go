// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
)

// special lets maps with a field die on a kernel.
func special(t *testing.T, kernel string, args ...string) (*results.Scenario, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, append([]string{"run", "--target", "vm", "--kernel", kernel, "--workload", "special", "--count", "5", "-o", dir}, args...)...)
	if code != exitOK {
		return nil, stderr
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &d.Run.Scenarios[0]
	if tr := s.Trials[0]; tr.Puts != 5 || tr.Freed != 5 || tr.Lost != 0 {
		t.Errorf("%s %v: %d puts, %d freed, %d lost\n%s", kernel, args, tr.Puts, tr.Freed, tr.Lost, stdout)
	}
	return s, ""
}

// TestVMSpecialLocalOnEveryKernel: what a program allocates is held by lists since 6.2 and
// by pointers since 6.4. The free drops it, and takes longer then, in instructions. A
// list can't be in a percpu array, and an inner map's types must be the outer map's object.
func TestVMSpecialLocalOnEveryKernel(t *testing.T) {
	t.Parallel()
	for _, kernel := range vmtest.Kernels() {
		t.Run(kernel, func(t *testing.T) {
			if kernel == "5.10" || kernel == "6.1" {
				for field, since := range map[string]string{"list": "6.2 does", "local-kptr": "6.4 does"} {
					if _, stderr := special(t, kernel, "--field", field); !strings.Contains(stderr, since) {
						t.Errorf("%s: %s", field, stderr)
					}
				}
				return
			}
			for _, args := range [][]string{{"--field", "list", "--as-inner", "--clock", "icount"}, {"--field", "local-kptr", "--clock", "icount"}} {
				s, stderr := special(t, kernel, args...)
				if s == nil {
					t.Errorf("%v: %s", args, stderr)
					continue
				}
				if want := "an inner map with types of another BTF object: refused (EINVAL)"; !slices.Contains(s.Trials[0].Findings, want) {
					t.Errorf("%v: found %q", args, s.Trials[0].Findings)
				}
				empty, stderr := special(t, kernel, append(args, "--filled", "0")...)
				if empty == nil {
					t.Errorf("%v: %s", args, stderr)
					continue
				}
				full, none := s.Phases[results.PhaseFree].P50NS, empty.Phases[results.PhaseFree].P50NS
				t.Logf("%v: free %d ns with 1024 objects, %d ns without", args, full, none)
				// An empty list is locked and looked at, too: 130 against 276 µs on 6.12.
				if 2*full < 3*none {
					t.Errorf("%v: the free of 1024 objects takes hardly longer than of none", args)
				}
			}
			if _, stderr := special(t, kernel, "--field", "list", "--map", "percpu-array"); !strings.Contains(stderr, "EOPNOTSUPP") {
				t.Error(stderr)
			}
		})
	}
}

// TestVMSpecialElements: the closer cancels each timer and work queue within close(2), and
// the worker that frees the map does again. That is so where the map is still in an outer
// map, too: there is no user any more.
func TestVMSpecialElements(t *testing.T) {
	t.Parallel()
	for _, kernel := range []string{"6.12", "7.2"} {
		for _, args := range [][]string{{"--field", "timer", "--as-inner"}, {"--field", "workqueue"}} {
			s, stderr := special(t, kernel, args...)
			if s == nil {
				t.Errorf("%s %v: %s", kernel, args, stderr)
				continue
			}
			closer, worker := s.Metrics["special.element.close"], s.Metrics["special.element.worker"]
			if closer.N != 1024 || worker.N != 1024 || s.Metrics["special.cancel.close"].N != 5 {
				t.Errorf("%s %v: %d cancels by the closer, %d by the worker; %q", kernel, args, closer.N, worker.N, s.Trials[0].Findings)
			}
			t.Logf("%s %v: one takes the closer %v ns, the worker %v ns", kernel, args, closer.P50, worker.P50)
		}
	}
}
