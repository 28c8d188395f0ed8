// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// The function tracer watches in a VM of its own, which shows that the probes
// don't change what they measure, and in one VM with them, which shows that
// they see each death when it happens. The deterministic clock gives all of
// them the same course.

const (
	ftraceGuest  = "guest-ftrace"
	besideGuest  = "guest-ftrace-beside"
	eventFtrace  = "ftrace"
	eventWatched = "watched"
)

// ftraceFunctions are those of a death.
var ftraceFunctions = []string{"bpf_map_free_deferred", "call_rcu", "call_rcu_tasks_trace", "call_srcu"}

func init() {
	guestMains[ftraceGuest] = func(args []string) error { return inFtraceGuest(args[0], ftraceChurn) }
	guestMains[besideGuest] = func(args []string) error { return inFtraceGuest(args[0], ftraceBeside) }
}

func inFtraceGuest(path string, f func(*trial.Job, *target.GuestChannel) error) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	j, err := trial.DecodeJob(data)
	if err != nil {
		return err
	}
	ch, err := target.OpenGuestChannel()
	if err != nil {
		return err
	}
	defer ch.Close()
	return f(j, ch)
}

// sendSeen sends what ftrace has seen until now.
func sendSeen(ch *target.GuestChannel, kind string, seen ftraced) error {
	out, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	return ch.Send(kind, out)
}

// ftraceBeside runs in the guest: a whole trial, and the function tracer.
func ftraceBeside(j *trial.Job, ch *target.GuestChannel) error {
	if err := bench.StartFtrace(ftraceFunctions...); err != nil {
		return err
	}
	t, err := bench.MeasureJob(context.Background(), j)
	if err != nil {
		return err
	}
	var ours ftraced
	for _, d := range t.Outcome.Deaths {
		ours.Enqueue, ours.Free = append(ours.Enqueue, d.EnqueueNS), append(ours.Free, d.FreeNS)
	}
	if err := sendSeen(ch, eventWatched, ours); err != nil {
		return err
	}
	seen, err := readFtrace()
	if err != nil {
		return err
	}
	return sendSeen(ch, eventFtrace, seen)
}

// ftraced are the times that the function tracer saw, in nanoseconds.
type ftraced struct {
	Enqueue, Free []int64
	Expected      uint64
}

// ftraceChurn runs in the guest: a job's workload under the function tracer.
func ftraceChurn(j *trial.Job, ch *target.GuestChannel) error {
	w, _, err := j.Load()
	if err != nil {
		return err
	}
	instance, err := w.Setup(context.Background(), j.Strategy)
	if err != nil {
		return err
	}
	defer instance.Close()
	if err := bench.StartFtrace(ftraceFunctions...); err != nil {
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
	return sendSeen(ch, eventFtrace, seen)
}

// readFtrace sorts the calls by what they mean for a death.
func readFtrace() (ftraced, error) {
	var seen ftraced
	calls, err := bench.FtraceCalls()
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

// ftraceRate lets the operations begin at every phase of a tick. In a closed
// loop each begins where a grace period ends, and all of a run keep the phase
// that it happens to begin with, which is worth a tick or two.
const ftraceRate = "--rate=37.78" // 6.618 ticks of 4 ms

// TestVMFtraceAgrees runs the same churn under mapprof and under ftrace.
func TestVMFtraceAgrees(t *testing.T) {
	kernel, err := target.ResolveKernel(t.Context(), "6.12", target.KernelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, strategy := range []string{"rcu", "tasks-trace"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			const count = 1000
			dir := filepath.Join(t.TempDir(), "run")
			code, _, stderr := mapprof(t, "run", "--kernel", "6.12", "--clock", "icount", "--strategy", strategy, "--count", fmt.Sprint(count), ftraceRate, "-o", dir)
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

			seen, _ := ftraceRun(t, ftraceGuest, kernel, trial.Job{Workload: "churn", Strategy: strategy, Args: []string{fmt.Sprintf("--count=%d", count), ftraceRate}})
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

// TestVMFtraceBeside holds each death's times against the function tracer's in
// the same boot.
func TestVMFtraceBeside(t *testing.T) {
	kernel, err := target.ResolveKernel(t.Context(), "6.12", target.KernelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, strategy := range []string{"rcu", "tasks-trace"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			const count = 150
			seen, ours := ftraceRun(t, besideGuest, kernel, trial.Job{Workload: "churn", Strategy: strategy, DrainTimeout: 10 * time.Second, Args: []string{fmt.Sprintf("--count=%d", count)}})
			for what, times := range map[string][2][]int64{"call_rcu*": {ours.Enqueue, seen.Enqueue}, "bpf_map_free_deferred": {ours.Free, seen.Free}} {
				off, err := pairTimes(times[0], times[1])
				if err != nil || len(off) != count {
					t.Errorf("%s, %s: %d of %d, %v", strategy, what, len(off), count, err)
					continue
				}
				t.Logf("%s, %s: %d of %d calls, mapprof's time later than ftrace's by %v to %v, median %v", strategy, what,
					len(off), len(times[1]), time.Duration(off[0]), time.Duration(off[len(off)-1]), time.Duration(off[len(off)/2]))
				if off[0] < -ftraceOff || off[len(off)-1] > ftraceOff {
					t.Errorf("%s, %s: more than %v off", strategy, what, time.Duration(ftraceOff))
				}
			}
		})
	}
}

// ftraceOff is how far apart two tracers of one call may be: one runs before
// the other, and ftrace's times are in steps of 1 µs.
const ftraceOff = int64(5 * time.Microsecond)

// pairTimes finds for each time a call of its own, the nearest, and returns the
// differences, sorted. The other calls are of maps that aren't watched.
func pairTimes(times, calls []int64) ([]int64, error) {
	left := slices.Sorted(slices.Values(calls))
	var off []int64
	for _, at := range slices.Sorted(slices.Values(times)) {
		if len(left) == 0 {
			return nil, fmt.Errorf("%d times for %d calls", len(times), len(calls))
		}
		i, _ := slices.BinarySearch(left, at)
		if i == len(left) || i > 0 && at-left[i-1] < left[i]-at {
			i--
		}
		off = append(off, at-left[i])
		left = slices.Delete(left, i, i+1)
	}
	slices.Sort(off)
	return off, nil
}

// ftraceRun runs a guest of this file; watched is empty where it traces alone.
func ftraceRun(t *testing.T, guest string, kernel target.Kernel, j trial.Job) (seen, watched ftraced) {
	t.Helper()
	data, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var decodeErr error
	vm := target.VM{Kernel: kernel, Clock: target.ClockICount, Timeout: 5 * time.Minute}
	out, err := vm.Run(t.Context(), target.Job{
		Args: []string{guest, trial.GuestJobPath}, Files: map[string][]byte{trial.GuestJobPath: data}, OutDir: t.TempDir(),
		Event: func(kind string, payload []byte) {
			switch kind {
			case eventFtrace:
				decodeErr = errors.Join(decodeErr, json.Unmarshal(payload, &seen))
			case eventWatched:
				decodeErr = errors.Join(decodeErr, json.Unmarshal(payload, &watched))
			}
		},
	})
	if err := errors.Join(err, decodeErr); err != nil || out.ExitCode != 0 {
		t.Fatalf("%v %s", err, out.Message)
	}
	return seen, watched
}

func median(v []int64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return float64(s[n/2-1]+s[n/2]) / 2
	}
	return float64(s[len(s)/2])
}
