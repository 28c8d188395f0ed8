// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// A large array's life has every stage, and every path reaches its elements.
// (Past 4 GiB it takes minutes: that is mapprof run --workload bigarray
// --memory 10GiB.)
func TestVMBigArray(t *testing.T) {
	for _, tt := range []struct{ kernel, sizes string }{
		{"5.10", "--size=64MiB"},
		{"6.12", "--size=64MiB"},
		{"6.12", "--size=24MiB --value-size=3MiB"},
		{"7.2", "--size=48MiB --value-size=12MiB"}, // past KMALLOC_MAX_SIZE, since 63b8ce77b15e
	} {
		t.Run(tt.kernel+tt.sizes, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			args := append([]string{"run", "--workload", "bigarray", "--count", "20480", "--kernel", tt.kernel, "-o", dir}, strings.Fields(tt.sizes)...)
			code, stdout, stderr := mapprof(t, args...)
			if code != exitOK {
				t.Fatalf("exit %d\n%s", code, stderr)
			}
			if n := strings.Count(stdout, "addressing: ok"); n != 3 {
				t.Errorf("%d proofs of 3:\n%s", n, stdout)
			}
			d, err := results.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			s := d.Run.Scenarios[0]
			if tr := s.Trials[0]; tr.Puts != 1 || tr.Freed != 1 {
				t.Errorf("%d puts, %d freed", tr.Puts, tr.Freed)
			}
			for _, name := range []string{
				"create", "create.array_map_alloc", "create.area_alloc", "mmap", "touch", "zero", "free", "free.array_map_free",
				"memory.before", "memory.held", "memory.limbo", "memory.after",
			} {
				if m := s.Metrics[name]; m.N == 0 || m.P50 <= 0 {
					t.Errorf("%s: %+v", name, m)
				}
			}
			if free, vfree := s.Metrics["free.array_map_free"].P50, s.Metrics["free.vfree"].P50; free < vfree {
				t.Errorf("array_map_free took %.0f ns, vfree within it %.0f ns", free, vfree)
			}
			for _, path := range []string{"syscall", "helper", "inlined", "batch", "mmap"} {
				for _, op := range []string{"lookup.", "update."} {
					if m := s.Metrics[op+path]; m.N == 0 {
						t.Errorf("no %s%s", op, path)
					}
				}
			}
			// 64 MiB, and what else the system took or gave back meanwhile.
			if held, before := s.Metrics["memory.held"].P50, s.Metrics["memory.before"].P50; held-before < 48<<20 {
				t.Errorf("%.0f bytes more were in use with the array", held-before)
			}
		})
	}
}

// A failed proof fails the run and stands at the top of what it prints.
func TestFailedProofFailsTheRun(t *testing.T) {
	run := &results.Run{Scenarios: []results.Scenario{{ID: "bigarray/6.0/rcu", Trials: []results.Trial{{
		Failures: []string{"addressing: FAIL: index 536870912 answered with element 0"},
	}}}}}
	if err := verify(run); err == nil || !strings.Contains(err.Error(), "addressing: FAIL: index 536870912") {
		t.Errorf("verify: %v", err)
	}
}
