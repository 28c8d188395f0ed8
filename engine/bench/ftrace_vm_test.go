// SPDX-License-Identifier: Apache-2.0

//go:build vm

package bench

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
	_ "github.com/mapprof/mapprof/workloads/all" // to run churn
)

// The function tracer watches in a VM of its own, which shows that the probes
// don't change what they measure, and in one VM with them, which shows that
// they see each death when it happens. The deterministic clock gives all of
// them the same course.

const (
	ftraceTask = "ftrace"        // a workload under the function tracer alone
	besideTask = "ftrace-beside" // a trial, and the function tracer
)

// ftraceFunctions are those of a death.
var ftraceFunctions = []string{"bpf_map_free_deferred", "call_rcu", "call_rcu_tasks_trace", "call_srcu"}

func TestMain(m *testing.M) {
	vmtest.Main(m, trial.Handlers().With(task.Handlers{ftraceTask: task.Handle(ftraceChurn), besideTask: task.Handle(ftraceBeside), freeWaitTask: task.Handle(freeWaitBeside)}).With(Handlers()))
}

// traced is what two tracers saw of one workload.
type traced struct{ Ftrace, Probes ftraced }

// ftraceBeside runs in the guest: a whole trial, and the function tracer.
func ftraceBeside(ctx context.Context, _ *task.Env, j trial.Job) (out traced, err error) {
	if err := startFtrace(ftraceFunctions...); err != nil {
		return out, err
	}
	m, err := measure(ctx, &j)
	if err != nil {
		return out, err
	}
	for _, d := range m.Deaths {
		out.Probes.Enqueue, out.Probes.Free = append(out.Probes.Enqueue, d.EnqueueNS), append(out.Probes.Free, d.FreeNS)
	}
	out.Ftrace, err = readFtrace()
	return out, err
}

// ftraced are the times that the function tracer saw, in nanoseconds.
type ftraced struct {
	Enqueue, Free []int64
	Expected      uint64
}

// ftraceChurn runs in the guest: a job's workload under the function tracer.
func ftraceChurn(ctx context.Context, _ *task.Env, j trial.Job) (out traced, err error) {
	w, _, err := workloads.New(j.Workload, j.Params)
	if err != nil {
		return out, err
	}
	if err := w.Check(j.Strategy); err != nil {
		return out, err
	}
	instance, err := w.Setup(ctx, j.Strategy)
	if err != nil {
		return out, err
	}
	defer instance.Close()
	if err := startFtrace(ftraceFunctions...); err != nil {
		return out, err
	}
	res, err := instance.Run(ctx, func(_, _ uint64) {})
	if err != nil {
		return out, err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if out.Ftrace, err = readFtrace(); err != nil {
			return out, err
		}
		if uint64(len(out.Ftrace.Free)) >= res.LastPuts || time.Now().After(deadline) {
			break
		}
	}
	out.Ftrace.Expected = res.LastPuts
	return out, nil
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

// ftraceRate lets the operations begin at every phase of a tick. In a closed
// loop each begins where a grace period ends, and all of a run keep the phase
// that it happens to begin with, which is worth a tick or two.
const ftraceRate = "37.78" // 6.618 ticks of 4 ms

// TestVMFtraceAgrees runs the same churn under mapprof and under ftrace.
func TestVMFtraceAgrees(t *testing.T) {
	for _, strategy := range []string{"rcu", "tasks-trace"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			const count = 1000
			job := churnJob(strategy, map[string]string{"count": fmt.Sprint(count), "rate": ftraceRate})
			dir := filepath.Join(t.TempDir(), "run")
			vm := icountVM(t)
			if _, err := vm.Do(t.Context(), 0, target.Work{Task: trial.TaskRun, Request: job, Dir: dir}); err != nil {
				t.Fatal(err)
			}
			d, err := results.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			var ours []int64
			if err := d.Deaths(func(d *results.Death) error { ours = append(ours, d.FreeNS-d.EnqueueNS); return nil }); err != nil {
				t.Fatal(err)
			}
			seen := vmtest.Call[traced](t, vm, ftraceTask, job).Ftrace
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
			a, b := median.Of(ours), median.Of(theirs)
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
	for _, strategy := range []string{"rcu", "tasks-trace"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			const count = 150
			both := vmtest.Call[traced](t, icountVM(t), besideTask, churnJob(strategy, map[string]string{"count": fmt.Sprint(count)}))
			seen, ours := both.Ftrace, both.Probes
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

// icountVM is a VM whose clock gives equal jobs the same course.
func icountVM(t *testing.T) *target.VM {
	return vmtest.VM(t, "6.12", func(m *target.Machine) { m.Clock = results.ClockICount })
}

func churnJob(strategy string, params map[string]string) trial.Job {
	return trial.Job{Scenario: "s", Workload: "churn", Strategy: strategy, Params: params, Options: trial.DefaultOptions()}
}
