// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMUnprivileged: to look up a map that CAP_BPF alone created takes one instruction
// more, in BPF and of the CPU, where the lookup is inlined, and none by the helper. Such a
// map has its entries rounded up to a power of two. And a read of jiffies takes a tenth of
// one of ktime at most.
func TestVMUnprivileged(t *testing.T) {
	t.Parallel()
	run := func(args ...string) results.Scenario {
		dir := filepath.Join(t.TempDir(), "run")
		code, stdout, stderr := mapprof(t, append([]string{"run", "--target", "vm", "--kernel", "6.12", "--clock", "icount", "-o", dir}, args...)...)
		if code != exitOK {
			t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
		}
		d, err := results.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return d.Run.Scenarios[0]
	}
	s := run("--workload", "lookup", "--unprivileged", "--path", "helper,inlined", "--size", "384KiB", "--count", "20000")
	p50 := func(name string) float64 {
		m, ok := s.Metrics[name]
		if !ok || m.N == 0 {
			t.Errorf("there is no %s", name)
		}
		return m.P50
	}
	for _, tt := range []struct {
		path string
		more float64
	}{{"helper", 0}, {"inlined", 1}} {
		for _, figure := range []string{"code.", "lookup."} {
			name := figure + tt.path
			if got := p50(name+"-unprivileged") - p50(name); got < tt.more-0.1 || got > tt.more+0.1 {
				t.Errorf("%s: %v more, want %v", name, got, tt.more)
			}
		}
		name := "code." + tt.path
		if more := p50(name+"-unprivileged.jited") > p50(name+".jited"); more != (tt.more > 0) {
			t.Errorf("%s: %v bytes of machine code, and %v", name, p50(name+".jited"), p50(name+"-unprivileged.jited"))
		}
	}
	if got := p50("memory.map-unprivileged") - p50("memory.map"); got < 120<<10 || got > 136<<10 {
		t.Errorf("a map of 49152 entries takes %v bytes more, not 128 KiB", got)
	}
	s = run("--workload", "clocks", "--count", "100000")
	if ktime, jiffies := p50("clock.ktime"), p50("clock.jiffies64"); jiffies <= 0 || 10*jiffies > ktime {
		t.Errorf("ktime %v instructions, jiffies %v", ktime, jiffies)
	}
	if step := p50("clock.jiffies64.step"); step < 0.9e6 || step > 10.1e6 {
		t.Errorf("a jiffy of %v ns", step)
	}
}
