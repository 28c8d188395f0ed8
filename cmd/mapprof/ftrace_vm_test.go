// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// The function tracer watches in a VM of its own, on the deterministic clock so
// that both see the same course.

const (
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
	if err := startFtrace("bpf_map_free_deferred", "call_rcu", "call_rcu_tasks_trace", "call_srcu"); err != nil {
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

// readFtrace sorts the calls by what they mean for a death.
func readFtrace() (ftraced, error) {
	var seen ftraced
	calls, err := ftraceCalls()
	for _, c := range calls {
		switch {
		case c.Function == "bpf_map_free_deferred":
			seen.Free = append(seen.Free, c.AtNS)
		// A tail call out of bpf_map_put shows that function's caller.
		case strings.HasPrefix(c.Parent, "bpf_map_") || strings.HasPrefix(c.Parent, "bpf_fd_"):
			seen.Enqueue = append(seen.Enqueue, c.AtNS)
		}
	}
	return seen, err
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
