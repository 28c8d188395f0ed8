// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"context"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

// A large array's life has every stage, and every path reaches its elements.
// (Past 4 GiB it takes minutes: that is mapprof run --workload bigarray
// --memory 10GiB.)
func TestVMBigArray(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kernel, sizes string
		bytes         float64
	}{
		{"5.10", "--size=64MiB", 64 << 20},
		{"6.12", "--size=64MiB", 64 << 20},
		{"6.12", "--size=24MiB --value-size=3MiB", 24 << 20},
		{"7.2", "--size=48MiB --value-size=12MiB", 48 << 20}, // past KMALLOC_MAX_SIZE, since 63b8ce77b15e
	} {
		t.Run(tt.kernel+tt.sizes, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "run")
			args := append([]string{"run", "-v", "--workload", "bigarray", "--count", "20480", "--kernel", tt.kernel, "-o", dir}, strings.Fields(tt.sizes)...)
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
				"create", "create.array_map_alloc", "create.area_alloc", "mmap", "touch", "zero", "free.total", "free.array_map_free",
				"memory.before", "memory.held", "memory.limbo", "memory.after",
			} {
				if m := s.Metrics[name]; m.N == 0 || m.P50 <= 0 {
					t.Errorf("%s: %+v", name, m)
				}
			}
			checkCreate(t, &s)
			if free, vfree := s.Metrics["free.array_map_free"].P50, s.Metrics["free.vfree"].P50; free < vfree {
				t.Errorf("array_map_free took %.0f ns, vfree within it %.0f ns", free, vfree)
			}
			for _, path := range []string{"syscall", "helper", "inlined", "batch", "mmap"} {
				for _, op := range []string{"lookup.", "update."} {
					if m := s.Metrics[op+path]; m.N == 0 || m.P50 <= 0 {
						t.Errorf("%s%s: %+v", op, path, m)
					}
				}
				how := s.Metrics["lookup."+path].How
				unseen := path == "inlined" || path == "mmap"
				if strings.Contains(how, "no probe sees it") != unseen {
					t.Errorf("lookup.%s says of the probe: %q", path, how)
				}
				timed, probe := s.Metrics["lookup."+path+".function"], s.Metrics["probe."+path]
				if (timed.N > 0) == unseen || (probe.N > 0) == unseen {
					t.Errorf("%s: the probe timed %d calls, %d values of its cost", path, timed.N, probe.N)
				}
			}
			if _, err := compare.FiguresOf(&s); err != nil {
				t.Error(err)
			}
			// Beside the elements there are the map's struct and vmalloc's
			// list of the pages, 8 bytes for each; something else may
			// begin a thread meanwhile.
			held := s.Metrics["memory.held"].P50 - s.Metrics["memory.before"].P50
			if most := tt.bytes + tt.bytes/512 + 128<<10; held < tt.bytes || held > most {
				t.Errorf("%.0f bytes more were in use with the array of %.0f", held, tt.bytes)
			}
			if back := s.Metrics["memory.limbo"].P50 - s.Metrics["memory.after"].P50; back < tt.bytes*9/10 {
				t.Errorf("%.0f bytes less were in use when it was freed", back)
			}
			if peak := s.Trials[0].Limbo.PeakBytes; float64(peak) < tt.bytes || float64(peak) > tt.bytes*1.01+8192 {
				t.Errorf("%d bytes were in limbo", peak)
			}
		})
	}
}

// checkCreate holds the parts of create against the whole. 5.10 and 7.2 have a
// function that clears pages and can be probed, the others are sampled.
func checkCreate(t *testing.T, s *results.Scenario) {
	t.Helper()
	create, zeroing, allocation := s.Metrics["create"].P50, s.Metrics["create.zeroing"], s.Metrics["create.allocation"]
	sampled := !strings.HasPrefix(s.Kernel, "5.10") && !strings.HasPrefix(s.Kernel, "7.2")
	if zeroing.N == 0 && sampled {
		if text := strings.Join(s.Warnings, " "); !strings.Contains(text, "create can't be split") || !strings.Contains(text, "are too few") {
			t.Errorf("create isn't split, and nothing says why: %q", text)
		}
		return
	}
	if zeroing.N != 1 || allocation.N != 1 || zeroing.P50 <= 0 || allocation.P50 <= 0 || math.Abs(zeroing.P50+allocation.P50-create) > 1 {
		t.Fatalf("create %.0f ns, of which zeroing %+v, allocation %+v; warnings %q", create, zeroing, allocation, s.Warnings)
	}
	if strings.Contains(zeroing.How, "samples") != sampled || !strings.Contains(zeroing.How, "clear") && !strings.Contains(zeroing.How, "kernel_init") {
		t.Errorf("zeroing was measured by %q", zeroing.How)
	}
	// 4 KiB are written for every page, and a page is found by a few dozen
	// instructions.
	if zeroing.P50 < create/4 {
		t.Errorf("of create's %.0f ns only %.0f are zeroing", create, zeroing.P50)
	}
}

// A path that reads wrapped elements of a real array fails the run, with a line
// that says what it found.
func TestVMBigArrayPlantedFault(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "-v", "--workload", "bigarray", "--size", "32MiB", "--path", "syscall,inlined", "--count", "20480",
		"--inject-wrap", "16MiB", "--kernel", "6.12", "-o", dir)
	if code != exitFailure {
		t.Errorf("exit %d, want %d", code, exitFailure)
	}
	line := regexp.MustCompile(`addressing: FAIL: written by syscall, read by inlined: index (\d+) \(byte offset (\d+)\) answered with element (\d+); (\d+) of (\d+) elements are wrong \(fixed by kernel commit 87ac0d600943\)`)
	for where, text := range map[string]string{"stdout": stdout, "stderr": stderr} {
		m := line.FindStringSubmatch(strings.Join(strings.Fields(text), " "))
		if m == nil {
			t.Errorf("%s doesn't say what is wrong:\n%s", where, text)
			continue
		}
		var n [6]uint64
		for i := 1; i < len(n); i++ {
			n[i], _ = strconv.ParseUint(m[i], 10, 64) // they are digits
		}
		const first = 16 << 20 / 8 // element past the wrap
		if n[1] != first || n[2] != 8*first || n[3] != 0 || n[4] == 0 || n[4] >= n[5] {
			t.Errorf("%s: %s", where, m[0])
		}
	}
	if strings.Contains(stdout, "addressing: ok: 2") || strings.Count(stdout, "addressing: ok: inner array") != 1 {
		t.Errorf("what is right and wrong is mixed up:\n%s", stdout)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	// Written by either path and read by the one that wraps.
	if f := d.Run.Scenarios[0].Trials[0].Failures; len(f) != 2 {
		t.Errorf("%d failures are kept: %q", len(f), f)
	}
}

func init() {
	// Threads that are always ready to run: the workload's is preempted, and
	// goes on elsewhere.
	guestTasks["busy"] = func(ctx context.Context, env *task.Env, request []byte) (any, error) {
		defer keepHostBusy()()
		defer keepHostBusy()()
		defer keepHostBusy()()
		return trial.Handlers()[trial.TaskRun](ctx, env, request)
	}
}

// TestVMBigArrayPreempted: where create's thread changes its CPU in the middle
// of a call for many pages, that call counts.
func TestVMBigArrayPreempted(t *testing.T) {
	t.Parallel()
	run := runVM(t, "--workload", "bigarray", "--size", "48MiB", "--value-size", "12MiB", "--path", "mmap", "--count", "20480", "--kernel", "7.2",
		"--append", guestMainArg+"busy")
	checkCreate(t, &run.Scenarios[0])
}
