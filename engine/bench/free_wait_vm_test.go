// SPDX-License-Identifier: Apache-2.0

//go:build vm

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

const freeWaitTask = "free-wait-beside" // a trial, and the function graph tracer

// freeFunction is the worker's, freeWaits are those in which it waits.
const freeFunction = "bpf_map_free_deferred"

var freeWaits = []string{"synchronize_rcu", "synchronize_rcu_expedited", "rcu_barrier", "__wait_rcu_gp"}

// graphFree is a call of freeFunction, and how long it was in freeWaits.
type graphFree struct{ AtNS, WaitNS int64 }

// freeWaitBoth is what both saw in one boot.
type freeWaitBoth struct{ Ftrace, Probes []graphFree }

// freeWaitBeside runs in the guest: a whole trial under the function graph tracer.
func freeWaitBeside(ctx context.Context, _ *task.Env, j trial.Job) (out freeWaitBoth, err error) {
	err = writeTracefs("tracing_on", "0", "trace_clock", "mono", "buffer_size_kb", "16384", "trace", "",
		"set_ftrace_filter", strings.Join(append([]string{freeFunction}, freeWaits...), " "), "current_tracer", "function_graph",
		"options/funcgraph-proc", "1", "options/funcgraph-abstime", "1", "tracing_on", "1")
	if err != nil {
		return out, err
	}
	m, err := measure(ctx, &j)
	if err != nil {
		return out, err
	}
	for _, d := range m.Deaths {
		out.Probes = append(out.Probes, graphFree{d.FreeNS, d.FreeWaitNS})
	}
	f, err := os.Open(tracefs + "trace")
	if err != nil {
		return out, err
	}
	defer f.Close()
	out.Ftrace, err = parseGraph(f)
	return out, err
}

// graphCall is one that hasn't ended.
type graphCall struct {
	name         string
	atNS, waitNS int64
}

// parseGraph reads lines like
// " 3.141592 |   0) kworker-7  | * 13989.123 us |    synchronize_rcu();" and, where others
// come between, "synchronize_rcu() {" and "}". Calls nest by task.
func parseGraph(r io.Reader) ([]graphFree, error) {
	open := map[string][]graphCall{}
	var frees []graphFree
	end := func(task string, c graphCall, took int64) {
		outer := open[task]
		switch {
		case c.name == freeFunction:
			frees = append(frees, graphFree{c.atNS, c.waitNS})
		case len(outer) > 0 && outer[len(outer)-1].name == freeFunction: // a wait within a wait is a part of it
			outer[len(outer)-1].waitNS += took
		}
	}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		columns := strings.SplitN(sc.Text(), "|", 4)
		if len(columns) < 4 || strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		_, task, _ := strings.Cut(columns[1], ")")
		task = strings.TrimSpace(task)
		at, err := strconv.ParseFloat(strings.TrimSpace(columns[0]), 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", sc.Text(), err)
		}
		var took float64
		if text := strings.TrimSpace(strings.TrimLeft(columns[2], " $@*#!+")); text != "" {
			if took, err = strconv.ParseFloat(strings.TrimSuffix(text, " us"), 64); err != nil {
				return nil, fmt.Errorf("%q: %w", sc.Text(), err)
			}
		}
		call := strings.TrimSpace(columns[3])
		name, _, _ := strings.Cut(call, "(")
		begun := graphCall{name: name, atNS: int64(math.Round(at * 1e9))}
		switch stack := open[task]; {
		case strings.Contains(call, "() {"):
			open[task] = append(stack, begun)
		case strings.Contains(call, "();"):
			end(task, begun, int64(took*1e3))
		case strings.HasPrefix(call, "}") && len(stack) > 0:
			open[task] = stack[:len(stack)-1]
			end(task, stack[len(stack)-1], int64(took*1e3))
		}
	}
	return frees, sc.Err()
}

// TestVMFreeWaitBeside holds what each free waits against the function graph tracer's
// durations of the same functions in the same boot: of devmaps, which wait for RCU, and of
// struct_ops maps, which wait for RCU and RCU-tasks at once.
func TestVMFreeWaitBeside(t *testing.T) {
	for _, job := range []trial.Job{
		churnJob(results.StrategySync, map[string]string{"count": "50"}),
		{Scenario: "s", Workload: "structops", Strategy: results.StrategyAny, Params: map[string]string{"count": "10"}, Options: trial.DefaultOptions()},
	} {
		t.Run(job.Workload, func(t *testing.T) {
			both := vmtest.Call[freeWaitBoth](t, icountVM(t), freeWaitTask, job)
			off, waited, err := matchFrees(both)
			count, _ := strconv.Atoi(job.Params["count"])
			if err != nil || len(off) != count || waited == 0 {
				t.Fatalf("%d of %d frees, %d waited: %v", len(off), count, waited, err)
			}
			t.Logf("%d of %d frees waited; mapprof's free_wait longer than ftrace's by %v to %v, median %v; ftrace's longest %v", waited, len(off),
				time.Duration(off[0]), time.Duration(off[len(off)-1]), time.Duration(off[len(off)/2]), longestWait(both.Ftrace))
			if off[0] < -freeWaitOff || off[len(off)-1] > freeWaitOff {
				t.Errorf("more than %v off", time.Duration(freeWaitOff))
			}
		})
	}
}

// freeWaitOff is how far apart the two may be: one is around the other, in each wait of a
// free.
const freeWaitOff = int64(10 * time.Microsecond)

// matchFrees finds for each death the call of freeFunction that began nearest, and returns
// how much longer mapprof saw it wait, sorted, and how many ftrace saw wait.
func matchFrees(both freeWaitBoth) (off []int64, waited int, err error) {
	left := slices.Clone(both.Ftrace)
	for _, p := range both.Probes {
		if len(left) == 0 {
			return nil, 0, errors.New("ftrace saw fewer frees")
		}
		nearest := slices.MinFunc(left, func(a, b graphFree) int { return int(abs(a.AtNS-p.AtNS) - abs(b.AtNS-p.AtNS)) })
		if d := abs(nearest.AtNS - p.AtNS); d > freeWaitOff {
			return nil, 0, fmt.Errorf("the nearest free that ftrace saw is %v off", time.Duration(d))
		}
		left = slices.DeleteFunc(left, func(f graphFree) bool { return f == nearest })
		off = append(off, p.WaitNS-nearest.WaitNS)
		if nearest.WaitNS > 0 {
			waited++
		}
	}
	slices.Sort(off)
	return off, waited, nil
}

func abs(n int64) int64 { return max(n, -n) }

func longestWait(frees []graphFree) time.Duration {
	longest := int64(0)
	for _, f := range frees {
		longest = max(longest, f.WaitNS)
	}
	return time.Duration(longest)
}

// TestVMParseGraph: waits within a wait count once, and tasks that take turns don't mix.
func TestVMParseGraph(t *testing.T) {
	const trace = `# tracer: function_graph
   10.000001 |   0)  kworker-7   |               |  bpf_map_free_deferred() {
   10.000002 |   0)  kworker-7   |               |    synchronize_rcu() {
   10.000002 |   0)  kworker-7   |               |      __wait_rcu_gp() {
 ------------------------------------------
 0)  kworker-7    =>    init-81   
 ------------------------------------------
   10.001000 |   0)   init-81    | * 12345.678 us |  synchronize_rcu();
   10.014000 |   0)  kworker-7   | * 14000.000 us |      }
   10.014001 |   0)  kworker-7   | * 14001.500 us |    }
   10.014002 |   0)  kworker-7   | + 20.250 us   |    rcu_barrier();
   10.014030 |   0)  kworker-7   | * 14030.000 us |  } /* bpf_map_free_deferred */
   10.020000 |   1)  kworker-9   |   0.500 us    |  bpf_map_free_deferred();
`
	frees, err := parseGraph(strings.NewReader(trace))
	want := []graphFree{{10_000_001_000, 14_021_750}, {10_020_000_000, 0}}
	if err != nil || !slices.Equal(frees, want) {
		t.Errorf("%v, %v, want %v", frees, err, want)
	}
}
