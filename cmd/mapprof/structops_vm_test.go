// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMStructOps: to unregister a struct_ops map waits for a grace period on either
// kernel. On 6.12 its free waits for RCU and RCU-tasks, and on 5.10, which lacks that
// change, for none.
func TestVMStructOps(t *testing.T) {
	t.Parallel()
	const count = 20
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--kernel", "5.10", "--kernel", "6.12", "--workload", "structops", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Run.Scenarios); n != 2 {
		t.Fatalf("%d scenarios", n)
	}
	for n, want := range []struct {
		path         string
		waits, bytes uint64 // one page was charged; the struct, its value twice, a page of trampolines
	}{{"immediate", 0, 4096}, {"sync+sync-tasks", count, 2*256 + 4096}} {
		s := &d.Run.Scenarios[n]
		tr := &s.Trials[0]
		if tr.Puts != count || tr.Freed != count || tr.Lost != 0 || s.Strategy.Paths[want.path] != count {
			t.Errorf("%s: %d puts, %d freed, %d lost, by %v\n%s", s.Kernel, tr.Puts, tr.Freed, tr.Lost, s.Strategy.Paths, stdout)
		}
		if tr.Limbo.PeakBytes < want.bytes || tr.Limbo.PeakBytes > count*2*4096 {
			t.Errorf("%s: at most %d bytes in limbo", s.Kernel, tr.Limbo.PeakBytes)
		}
		wait, free, limbo := s.Phases[results.PhaseFreeWait], s.Phases[results.PhaseFree], s.Phases[results.PhaseLimbo]
		if wait.N != want.waits || free.N != count {
			t.Errorf("%s: %d frees, %d of them waited", s.Kernel, free.N, wait.N)
		}
		if want.waits > 0 && wait.SumNS < limbo.SumNS/2 {
			t.Errorf("%s: the free's own waiting is %d ns of %d", s.Kernel, wait.SumNS, limbo.SumNS)
		}
		register, unregister, waited := s.Metrics["structops.register"], s.Metrics["structops.unregister"], s.Metrics["structops.unregister.wait"]
		if register.N != count || unregister.N != count || waited.N != count || waited.P50 > unregister.P50 {
			t.Errorf("%s: registered %+v, unregistered %+v, waited %+v", s.Kernel, register, unregister, waited)
		}
	}
}
