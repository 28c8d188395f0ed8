// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

const lookupHistogramGuest = "guest-lookup-histogram"

func init() {
	guestMains[lookupHistogramGuest] = func([]string) error {
		ch, err := target.OpenGuestChannel()
		if err != nil {
			return err
		}
		defer ch.Close()
		n, err := checkLookupHistogram()
		if err != nil {
			return err
		}
		return ch.Send("checked", []byte(fmt.Sprint(n)))
	}
}

// histogramValues are the edges of every bucket, and a million random values
// of every magnitude.
func histogramValues() []uint64 {
	values := []uint64{0, probes.LookupMaxNS, probes.LookupMaxNS + 1, 1 << 40, 1<<63 - 1}
	for v := int64(1); v <= probes.LookupMaxNS; {
		// 256 buckets of one nanosecond, then 128 of each doubled width.
		width := int64(1) << max(0, bits.Len64(uint64(v))-8)
		low, high := v, v+width-1
		for _, e := range []int64{low, low + 1, high - 1, high} {
			if e >= 0 && e <= probes.LookupMaxNS {
				values = append(values, uint64(e))
			}
		}
		v = high + 1
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 1_000_000 {
		values = append(values, random.Uint64()>>(28+random.IntN(36)))
	}
	return values
}

// checkLookupHistogram holds the histogram that BPF makes against
// hdrhistogram-go's, of the same values.
func checkLookupHistogram() (int, error) {
	values := histogramValues()
	got, err := probes.RecordLookups(values)
	if err != nil {
		return 0, err
	}
	imported, err := collect.LookupHistogram(got)
	if err != nil {
		return 0, err
	}
	want := hdrhistogram.New(probes.LookupMinNS, probes.LookupMaxNS, probes.LookupDigits)
	var sum, overflow uint64
	for _, v := range values {
		sum += v
		if v > probes.LookupMaxNS {
			overflow++
			continue
		}
		if err := want.RecordValue(int64(v)); err != nil {
			return 0, err
		}
	}
	counts := want.Export().Counts
	for i, n := range counts {
		if got.Buckets[i] != n {
			return 0, fmt.Errorf("bucket %d: BPF counted %d, hdrhistogram-go %d", i, got.Buckets[i], n)
		}
	}
	switch {
	case len(counts) != len(got.Buckets):
		return 0, fmt.Errorf("%d buckets, hdrhistogram-go has %d", len(got.Buckets), len(counts))
	case !imported.Equals(want):
		return 0, fmt.Errorf("what was imported is not equal")
	case got.Count != uint64(len(values)) || got.Overflow != overflow || got.SumNS != sum || got.MinNS != slices.Min(values) || got.MaxNS != slices.Max(values):
		return 0, fmt.Errorf("exact: count %d, overflow %d, sum %d, min %d, max %d", got.Count, got.Overflow, got.SumNS, got.MinNS, got.MaxNS)
	}
	return len(values), nil
}

func TestVMLookupHistogram(t *testing.T) {
	for _, kernel := range []string{"5.10", "6.1", "6.12", "7.2"} {
		t.Run(kernel, func(t *testing.T) {
			k, err := target.ResolveKernel(context.Background(), kernel, target.KernelOptions{})
			if err != nil {
				t.Fatal(err)
			}
			checked := ""
			out, err := target.VM{Kernel: k, Timeout: 3 * time.Minute}.Run(context.Background(), target.Job{
				Args:  []string{lookupHistogramGuest},
				Event: func(_ string, p []byte) { checked = string(p) },
			})
			if err != nil || out.ExitCode != 0 {
				t.Fatalf("exit %d, %v: %s", out.ExitCode, err, out.Message)
			}
			if want := fmt.Sprint(len(histogramValues())); checked != want {
				t.Errorf("the guest checked %q values, want %s", checked, want)
			}
		})
	}
}

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

// What can't be is refused in one line, before anything boots. (Some of it
// only where the kernel is there.)
func TestVMBadSizes(t *testing.T) {
	for _, tt := range []struct {
		args, want string
	}{
		{"--workload bigarray --size 0", "--size must be more than 0"},
		{"--workload bigarray --size much", "is not a size"},
		{"--workload bigarray --size 5GiB", "use --memory"},
		{"--workload bigarray --size 64GiB", "at most 4294967295 (give a larger --value-size)"},
		{"--workload bigarray --size 5GiB --value-size 3GiB", "the kernel's limit"},
		{"--workload bigarray --size 64MiB --value-size 4", "room for a stamp"},
		{"--workload bigarray --size 4KiB --value-size 8MiB", "holds no element"},
		{"--workload lookup --size 0", "--size must be more than 0"},
		{"--workload lookup --value-size -1", "is not a size"},
		{"--workload lookup --path around", "--path"},
		{"--workload lookup --path percpu-helper", "--map percpu-array"},
		{"--workload lookup --map tree", "--map"},
		{"--workload lookup --count 3", "--count"},
	} {
		args := append([]string{"run", "--target", "vm", "--offline", "-o", filepath.Join(t.TempDir(), "run")}, strings.Fields(tt.args)...)
		code, _, stderr := mapprof(t, args...)
		if code != exitUsage || !strings.Contains(stderr, tt.want) || strings.Count(strings.TrimSpace(stderr), "\n") != 0 {
			t.Errorf("%s: exit %d, %q has no %q", tt.args, code, stderr, tt.want)
		}
	}
}
