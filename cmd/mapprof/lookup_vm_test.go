// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// Inlined is cheaper than the helper, and that than bpf(2); each says how it
// was measured, and what the probe costs stands beside it.
func TestVMLookup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--workload", "lookup", "--kernel", "5.10", "--kernel", "6.12", "--kernel", "7.2", "--count", "40000", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	if n := strings.Count(stdout, "a lookup costs"); n != 3 {
		t.Errorf("the table speaks of %d kernels:\n%s", n, stdout)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	checkHlog(t, d, filepath.Join(d.Path, results.HistogramsFile))
	run := d.Run
	if len(run.Scenarios) != 3 {
		t.Fatalf("%d scenarios", len(run.Scenarios))
	}
	for _, s := range run.Scenarios {
		inlined, helper, syscall := s.Metrics["lookup.inlined"], s.Metrics["lookup.helper"], s.Metrics["lookup.syscall"]
		if !(inlined.P50 > 0 && inlined.P50 < helper.P50 && helper.P50 < syscall.P50) {
			t.Errorf("%s: inlined %.1f, helper %.1f, syscall %.1f ns", s.Kernel, inlined.P50, helper.P50, syscall.P50)
		}
		if !strings.Contains(inlined.How, "empty loop") || !strings.Contains(inlined.How, "times as long") {
			t.Errorf("%s: inlined doesn't say how it was measured: %q", s.Kernel, inlined.How)
		}
		for _, path := range []string{"helper", "syscall"} {
			if f := s.Metrics["lookup."+path+".function"]; f.N < 39000 || f.Min <= 0 {
				t.Errorf("%s: %s: the probe timed %d calls, min %.0f ns", s.Kernel, path, f.N, f.Min)
			}
			// How much, TestVMLookupInstructions knows; by the wall clock of a
			// busy machine no more than that it isn't less than nothing.
			if p := s.Metrics["probe."+path]; p.N == 0 || p.P50 <= 0 {
				t.Errorf("%s: %s: no cost of the probe: %+v", s.Kernel, path, p)
			}
		}
	}
}

// Where instructions are counted, nothing but what is asked for is: the middle
// of all batches is what the shortest one is, and the probe adds the same on
// every path.
func TestVMLookupInstructions(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--workload", "lookup", "--path", "syscall,helper,inlined,batch", "--kernel", "6.12",
		"--clock", "icount", "--count", "40000", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Run.Scenarios[0]
	for _, w := range s.Warnings {
		if strings.Contains(w, "can't be trusted") {
			t.Error(w)
		}
	}
	// 8, 20, 752 and 2079 on 6.12.117.
	for _, tt := range []struct {
		path      string
		low, high float64
	}{{"inlined", 4, 16}, {"helper", 10, 60}, {"batch", 200, 1500}, {"syscall", 800, 5000}} {
		m := s.Metrics["lookup."+tt.path]
		if m.Unit != "instructions/op" || m.P50 < tt.low || m.P50 > tt.high {
			t.Errorf("path %s: %.1f %s, want %.0f to %.0f", tt.path, m.P50, m.Unit, tt.low, tt.high)
		}
		if m.P50 > m.Min*1.05+1 {
			t.Errorf("path %s: half of all batches take more than %.2f, the shortest %.2f", tt.path, m.P50, m.Min)
		}
		// 399 to 402 on 6.12.117.
		if p := s.Metrics["probe."+tt.path]; tt.path != "inlined" && (p.P50 < 200 || p.P50 > 600) {
			t.Errorf("path %s: the probe costs %.0f instructions\n%s", tt.path, p.P50, stdout)
		}
	}
}

// TestVMLookupSampled: one lookup in 16 tells of all what each of them tells: the
// quantiles of the same calls, in instructions, and how many there were. The probe adds
// little to those that are not timed.
func TestVMLookupSampled(t *testing.T) {
	t.Parallel()
	const count = 100_000
	measured := func(more ...string) *results.Scenario {
		dir := filepath.Join(t.TempDir(), "run")
		code, stdout, stderr := mapprof(t, append([]string{"run", "--workload", "lookup", "--map", "hash", "--path", "syscall,helper", "--pattern", "random",
			"--kernel", "6.12", "--clock", "icount", "--count", fmt.Sprint(count), "-o", dir}, more...)...)
		if code != exitOK {
			t.Fatalf("exit %d\n%s", code, stderr)
		}
		if len(more) > 0 && !strings.Contains(stdout, "1 in 16 of ") {
			t.Errorf("the table does not tell of the sample:\n%s", stdout)
		}
		d, err := results.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return &d.Run.Scenarios[0]
	}
	each, sampled := measured(), measured("--sample", "16")
	if each.Params["sample"] != "" || sampled.Params["sample"] != "16" {
		t.Errorf("the parameters say a sample of %q and %q", each.Params["sample"], sampled.Params["sample"])
	}
	for _, path := range []string{"syscall", "helper"} {
		a, b := each.Metrics["lookup."+path+".function"], sampled.Metrics["lookup."+path+".function"]
		if a.Sample != 0 || a.Seen != 0 || a.N < count {
			t.Errorf("%s: each call is timed, and %d of %d are, one in %d", path, a.N, a.Seen, a.Sample)
		}
		// A gap of 1 to 31, as often each, has a standard deviation of 8.9.
		n := float64(b.Seen) / 16
		if b.Sample != 16 || b.Seen < count || math.Abs(float64(b.N)-n) > 5*math.Sqrt(n)*8.9/16 {
			t.Errorf("%s: %d of %d calls are timed, one in %d", path, b.N, b.Seen, b.Sample)
		}
		for _, q := range []struct {
			name string
			a, b float64
		}{{"p50", a.P50, b.P50}, {"p90", a.P90, b.P90}, {"p99", a.P99, b.P99}, {"mean", a.Mean, b.Mean}} {
			t.Logf("%s: %s of each call %.1f, of one in 16 %.1f", path, q.name, q.a, q.b)
			if math.Abs(q.a-q.b) > 0.03*q.a {
				t.Errorf("%s: %s of each call %.1f, of one in 16 %.1f", path, q.name, q.a, q.b)
			}
		}
		if a, b := each.Metrics["probe."+path], sampled.Metrics["probe."+path]; b.N == 0 || b.P50 > a.P50-80 {
			t.Errorf("%s: the probe adds %.0f instructions to each call, and %.0f with one in 16 timed", path, a.P50, b.P50)
		}
	}
}

// TestVMLookupSampledOnSeveralCPUs: each CPU has a gap of its own, and what they counted
// adds up, on the oldest kernel and the newest.
func TestVMLookupSampledOnSeveralCPUs(t *testing.T) {
	t.Parallel()
	const count = 40_000
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--workload", "lookup", "--path", "syscall", "--kernel", "5.10", "--kernel", "7.2",
		"--count", fmt.Sprint(count), "--sample", "64", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Run.Scenarios) != 2 {
		t.Fatalf("%d scenarios\n%s", len(d.Run.Scenarios), stdout)
	}
	for _, s := range d.Run.Scenarios {
		m := s.Metrics["lookup.syscall.function"]
		n := float64(m.Seen) / 64
		if m.Sample != 64 || m.Seen < count || math.Abs(float64(m.N)-n) > 5*math.Sqrt(n)*0.6 || m.Min <= 0 {
			t.Errorf("%s: %d of %d calls are timed, one in %d, min %.0f ns", s.Kernel, m.N, m.Seen, m.Sample, m.Min)
		}
	}
}

// TestVMLookupAlone: a tick is all that a batch of lookups may meet. On 7.2 the
// kernel's tests of its ciphers took half of the time: a mean of 5280 and a p99 of
// 90,589 instructions beside a median of 2198.
func TestVMLookupAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr := mapprof(t, "run", "--workload", "lookup", "--path", "syscall", "--kernel", "7.2", "--clock", "icount", "--count", "20480", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := d.Run.Scenarios[0].Metrics["lookup.syscall"]
	if m.N == 0 || m.P99 > 1.5*m.P50 || m.Mean > 1.1*m.P50 {
		t.Errorf("of %d batches: median %.0f, mean %.0f, p99 %.0f instructions a lookup", m.N, m.P50, m.Mean, m.P99)
	}
}

// TestVMLookupFilled: a batched lookup of a nearly empty LRU hash walks all its
// buckets for a few elements: one costs several times what it does in a full map,
// which the cost of the whole call explains. (3964 and 740 instructions on 6.12.118.)
func TestVMLookupFilled(t *testing.T) {
	t.Parallel()
	figures := func(filled string) (call, element results.Metric) {
		dir := filepath.Join(t.TempDir(), "run")
		code, stdout, stderr := mapprof(t, "run", "--workload", "lookup", "--map", "lru-hash", "--path", "batch", "--filled", filled, "--kernel", "6.12",
			"--clock", "icount", "--count", "20000", "-o", dir)
		if code != exitOK {
			t.Fatalf("exit %d\n%s", code, stderr)
		}
		d, err := results.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", stdout)
		s := d.Run.Scenarios[0]
		return s.Metrics["lookup.batch.call"], s.Metrics["lookup.batch"]
	}
	fullCall, fullElement := figures("100%")
	call, element := figures("1%")
	if call.N != element.N || call.N < 20000/100 {
		t.Errorf("%d calls, %d figures of their elements", call.N, element.N)
	}
	const gave = 81 // 1 % of 8192
	if want := element.P50 * gave; call.P50 < 0.99*want || call.P50 > 1.01*want || !strings.Contains(call.How, "one gave 81 elements") {
		t.Errorf("a call costs %.0f instructions and each of its %d elements %.0f: %s", call.P50, gave, element.P50, call.How)
	}
	if element.P50 < 3*fullElement.P50 {
		t.Errorf("an element costs %.0f instructions in a nearly empty map, %.0f in a full one", element.P50, fullElement.P50)
	}
	if fullCall.P50 < 500*fullElement.P50 || call.Unit != "instructions" {
		t.Errorf("a call of the full map costs %.0f %s, an element %.0f", fullCall.P50, call.Unit, fullElement.P50)
	}
}

// What can't be is refused in one line, before anything boots. (Some of it
// only where the kernel is there.)
func TestVMBadSizes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, want string
	}{
		{"--workload bigarray --size much", "is not a size"},
		{"--workload bigarray --memory 5GiB", "--memory 5GiB is too little: --workload bigarray takes up to 5"},
		{"--workload churn --slots 4096 --inner hash --inner-entries 32768 --memory 4GiB", "leave --memory out, use 11"},
		{"--workload churn --slots 4096 --inner hash --inner-entries 33554432", "on this host"},
		{"--workload churn --memory 255MiB", "--memory 255MiB is too little"},
		{"--workload churn --inner hash --inner-value-size 5000000 --inner-entries 1", "key and value together"},
		{"--workload churn --hold-reader rcu=20ms --clock icount", "needs a CPU of its own"},
		{"--workload churn --batch 2 --slots 2 --kernel 5.10", "leave --batch out"},
		{"--workload bigarray --kernel 5.10", "use a --size below 4GiB"},
		{"--workload lookup --map lru-hash --size 8MiB --value-size 4MiB", "key and value together"},
		{"--workload lookup --value-size -1", "is not a size"},
		{"--workload lookup --count 3", "--count"},
		{"--workload lookup --sample 0", "--sample must be a power of two from 1 to 65536"},
		{"--workload lookup --sample 3", "--sample must be a power of two from 1 to 65536"},
		{"--workload lookup --sample 131072", "--sample must be a power of two from 1 to 65536"},
		{"--workload lookup --sample 65536 --count 50000", "leaves none of 50000 lookups"},
	} {
		args := append([]string{"run", "--target", "vm", "--offline", "-o", filepath.Join(t.TempDir(), "run")}, strings.Fields(tt.args)...)
		code, _, stderr := mapprof(t, args...)
		wantCode := exitUsage
		if strings.Contains(tt.want, "this host") { // which is no mistake
			wantCode = exitFailure
		}
		if code != wantCode || !strings.Contains(stderr, tt.want) || strings.Count(strings.TrimSpace(stderr), "\n") != 0 {
			t.Errorf("%s: exit %d, %q has no %q", tt.args, code, stderr, tt.want)
		}
	}
}
