// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// The observer that isn't BPF: the kernel's own function tracer, in a VM of
// its own, on the deterministic clock so that both see the same course.

const (
	tracefs     = "/sys/kernel/tracing/"
	ftraceGuest = "guest-ftrace"
	eventFtrace = "ftrace"
)

func init() {
	guestMains[ftraceGuest] = func(args []string) error { return ftraceChurn(args[0]) }
}

// ftraced are the times that the function tracer saw, in nanoseconds.
type ftraced struct {
	Enqueue, Free []int64
	Expected      uint64
}

// ftraceChurn runs in the guest: a job's workload under the function tracer.
func ftraceChurn(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	j, err := decodeJob(data)
	if err != nil {
		return err
	}
	ch, err := target.OpenGuestChannel()
	if err != nil {
		return err
	}
	defer ch.Close()
	w, _, err := j.load()
	if err != nil {
		return err
	}
	instance, err := w.Setup(context.Background(), j.Strategy)
	if err != nil {
		return err
	}
	defer instance.Close()
	set := func(file, value string) {
		err = errors.Join(err, os.WriteFile(tracefs+file, []byte(value), 0o644))
	}
	set("tracing_on", "0")
	set("trace_clock", "mono")
	set("buffer_size_kb", "16384")
	functions, ferr := os.ReadFile(tracefs + "available_filter_functions")
	if ferr != nil {
		return ferr
	}
	var filter []string
	for _, f := range []string{"bpf_map_free_deferred", "call_rcu", "call_rcu_tasks_trace", "call_srcu"} {
		if strings.Contains(string(functions), "\n"+f+"\n") {
			filter = append(filter, f)
		}
	}
	set("set_ftrace_filter", strings.Join(filter, " "))
	set("current_tracer", "function")
	set("tracing_on", "1")
	if err != nil {
		return err
	}
	res, err := instance.Run(context.Background(), func(_, _ uint64) {})
	if err != nil {
		return err
	}
	var seen ftraced
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if seen, err = readFtrace(); err != nil {
			return err
		}
		if uint64(len(seen.Free)) >= res.LastPuts || time.Now().After(deadline) {
			break
		}
	}
	seen.Expected = res.LastPuts
	out, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	return ch.Send(eventFtrace, out)
}

// readFtrace parses lines like
// "init-81 [000] d..1. 3.141592: call_rcu <-bpf_map_put".
func readFtrace() (ftraced, error) {
	var seen ftraced
	f, err := os.Open(tracefs + "trace")
	if err != nil {
		return seen, err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		head, tail, ok := strings.Cut(sc.Text(), ": ")
		function, parent, isCall := strings.Cut(strings.TrimSpace(tail), " <-")
		if !ok || !isCall || strings.HasPrefix(head, "#") {
			continue
		}
		fields := strings.Fields(head)
		seconds, micros, _ := strings.Cut(fields[len(fields)-1], ".")
		s, err1 := strconv.ParseInt(seconds, 10, 64)
		us, err2 := strconv.ParseInt(micros, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return seen, fmt.Errorf("%q: %w", sc.Text(), err)
		}
		at := s*1e9 + us*1e3
		switch {
		case function == "bpf_map_free_deferred":
			seen.Free = append(seen.Free, at)
		// A tail call out of bpf_map_put shows that function's caller.
		case strings.HasPrefix(parent, "bpf_map_") || strings.HasPrefix(parent, "bpf_fd_"):
			seen.Enqueue = append(seen.Enqueue, at)
		}
	}
	return seen, nil
}

// TestVMFtraceAgrees runs the same churn under mapprof and under ftrace.
func TestVMFtraceAgrees(t *testing.T) {
	kernel, err := target.ResolveKernel(t.Context(), "6.12", target.KernelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, strategy := range []string{"rcu", "tasks-trace"} {
		t.Run(strategy, func(t *testing.T) {
			const count = 150
			dir := filepath.Join(t.TempDir(), "run")
			code, _, stderr := mapprof(t, "run", "--kernel", "6.12", "--clock", "icount", "--strategy", strategy, "--count", fmt.Sprint(count), "-o", dir)
			if code != exitOK {
				t.Fatalf("exit %d\n%s", code, stderr)
			}
			d, err := results.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			var ours []int64
			if err := d.Deaths(func(d *results.Death) error { ours = append(ours, d.FreeNS-d.EnqueueNS); return nil }); err != nil {
				t.Fatal(err)
			}

			seen := ftraceRun(t, kernel, job{Workload: "churn", Strategy: strategy, Args: []string{fmt.Sprintf("--count=%d", count)}})
			if len(seen.Free) != count || len(ours) != count || len(seen.Enqueue) != count || seen.Expected != count {
				t.Fatalf("frees: ftrace %d, mapprof %d; calls of call_rcu*: ftrace %d; expected %d", len(seen.Free), len(ours), len(seen.Enqueue), seen.Expected)
			}
			// Callbacks run in the order of their calls, and so do the
			// frees but for workers that overtake; sorting pairs them.
			slices.Sort(seen.Enqueue)
			slices.Sort(seen.Free)
			theirs := make([]int64, count)
			for i := range theirs {
				theirs[i] = seen.Free[i] - seen.Enqueue[i]
			}
			a, b := median(ours), median(theirs)
			t.Logf("%s, call_rcu* to bpf_map_free_deferred, median of %d: mapprof %v, ftrace %v (%+.2f %%)",
				strategy, count, time.Duration(a), time.Duration(b), (a/b-1)*100)
			if math.Abs(a/b-1) > 0.05 {
				t.Errorf("medians differ by more than 5 %%")
			}
		})
	}
}

func ftraceRun(t *testing.T, kernel target.Kernel, j job) ftraced {
	t.Helper()
	data, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var seen ftraced
	vm := target.VM{Kernel: kernel, Clock: target.ClockICount, Timeout: 5 * time.Minute}
	out, err := vm.Run(t.Context(), target.Job{
		Args: []string{ftraceGuest, guestJobPath}, Files: map[string][]byte{guestJobPath: data}, OutDir: t.TempDir(),
		Event: func(kind string, payload []byte) {
			if kind == eventFtrace {
				err = json.Unmarshal(payload, &seen)
			}
		},
	})
	if err != nil || out.ExitCode != 0 {
		t.Fatalf("%v %s", err, out.Message)
	}
	return seen
}

func median(v []int64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return float64(s[n/2-1]+s[n/2]) / 2
	}
	return float64(s[len(s)/2])
}
