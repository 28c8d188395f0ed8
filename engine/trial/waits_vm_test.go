// SPDX-License-Identifier: Apache-2.0

//go:build vm

package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

const waitsTask = "update-waits"

// waitsJob is a trial of churn, and how often an operation of it waits for a grace
// period.
type waitsJob struct {
	Flags    string
	waits    map[string]uint64 // by kernel; "": any other
	Strategy string            // empty: rcu
}

// waitsJobs begin with the one that has the most inner maps open at once: the
// table of file descriptors has grown after it.
func waitsJobs(kernel string) []waitsJob {
	const tasksTrace = results.StrategyTasksTrace
	one, two := map[string]uint64{"": 1}, map[string]uint64{"": 2}
	batches := []waitsJob{
		{"slots=200 batch=200", map[string]uint64{"6.1": 200, "": 1}, ""},
		{"outer=hash-of-maps slots=32 batch=32", map[string]uint64{"6.1": 32, "": 1}, ""},
		{"outer=hash-of-maps op=delete slots=32 batch=32", map[string]uint64{"6.1": 33, "": 2}, ""},
		{"slots=64 fill=48 batch=16 rate=20 inner=hash", map[string]uint64{"6.1": 16, "": 1}, ""},
		{"outer=hash-of-maps slots=16 batch=8 rate=20", map[string]uint64{"6.1": 8, "": 1}, tasksTrace},
	}
	jobs := []waitsJob{
		{"slots=4", one, ""},
		{"slots=4 readers=1", one, ""},
		{"outer=hash-of-maps slots=4", one, ""},
		{"outer=hash-of-maps-noprealloc slots=4", one, ""},
		{"outer=hash-of-maps op=delete slots=4", two, ""},
		{"op=delete slots=4", two, ""},
		{"slots=4 rate=20", one, ""},
		{"slots=4 rate=20 op=delete readers=2", two, ""},
		{"slots=64 fill=3", one, ""},
		{"outer=hash-of-maps slots=64 fill=3 op=delete rate=20", two, ""},
		{"slots=4 inner=hash inner-entries=64 inner-fill=32", one, ""},
		{"slots=4 inner=percpu-hash", one, ""},
		{"outer=hash-of-maps slots=4 inner=lpm-trie", one, ""},
		{"slots=4 inner=ringbuf", one, ""},
		{"slots=4 inner=queue op=delete", two, ""},
		{"outer=hash-of-maps slots=4 inner=sockhash", one, ""},
		{"slots=4", one, results.StrategySync}, // the map's own free waits, in a worker
		{"slots=4", map[string]uint64{"": 0}, results.StrategyImmediate},
	}
	if kernel != "5.10" { // it has no sleepable program that can hold an outer map, and no batches for one
		jobs = append(append(batches, jobs...), []waitsJob{
			{"slots=4", one, tasksTrace},
			{"slots=4 rate=20 readers=1", one, tasksTrace},
			{"outer=hash-of-maps slots=64 fill=3 inner=hash", one, tasksTrace},
			{"outer=hash-of-maps slots=4 op=delete", two, tasksTrace},
			{"outer=hash-of-maps-noprealloc slots=4 op=delete rate=20", two, tasksTrace},
			{"slots=4 hold-reader=rcu=20ms", one, ""},
			{"slots=4 hold-reader=tasks-trace=50ms", one, tasksTrace},
		}...)
	}
	return jobs
}

type waitsReply struct{ Ops, Waits uint64 }

// countWaits runs churn for every job while the waits of this process are watched.
func countWaits(ctx context.Context, _ *task.Env, jobs []waitsJob) (replies []waitsReply, err error) {
	p, _, err := probes.Attach(probes.Config{WatchPrefix: "mp_inner", WaitTGID: uint32(os.Getpid())})
	if err != nil {
		return nil, err
	}
	var kept waitsKept
	c, err := collect.Start(p, &kept, nil)
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	for _, j := range jobs {
		r, err := waitsOf(ctx, p, j)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", j.Strategy, j.Flags, err)
		}
		replies = append(replies, r)
	}
	counters, err := p.Counters()
	if err != nil {
		return nil, err
	}
	if err := c.Drain(ctx, time.Minute); err != nil {
		return nil, err
	}
	o, err := c.Finish()
	if err != nil {
		return nil, err
	}
	if lost := results.LossText(o.Loss); uint64(kept) < counters.Waits || lost != "none" {
		return nil, fmt.Errorf("%d of %d waits arrived, loss %s", kept, counters.Waits, lost)
	}
	return replies, nil
}

// waitsKept counts the waits that arrive.
type waitsKept uint64

func (*waitsKept) Death(*results.Death) error { return nil }

func (k *waitsKept) Wait(collect.Wait) error { *k++; return nil }

func (*waitsKept) Sweep(*collect.Outcome) error { return nil }

// waitsOf does one job. What waits in its set-up, and after its end, doesn't count.
func waitsOf(ctx context.Context, p *probes.Probes, j waitsJob) (r waitsReply, err error) {
	params := map[string]string{"count": "5"}
	for _, f := range strings.Fields(j.Flags) {
		name, value, _ := strings.Cut(f, "=")
		params[name] = value
	}
	w, _, err := workloads.New("churn", params)
	if err != nil {
		return r, err
	}
	strategy := cmp.Or(j.Strategy, results.StrategyRCU)
	if err := w.Check(strategy); err != nil {
		return r, err
	}
	instance, err := w.Setup(ctx, strategy)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, instance.Close()) }()
	before, err := p.Counters()
	if err != nil {
		return r, err
	}
	res, err := instance.Run(ctx, func(uint64, uint64) {})
	if err != nil {
		return r, err
	}
	after, err := p.Counters()
	return waitsReply{res.Ops, after.Waits - before.Waits}, err
}

// TestVMUpdateWaitsOnEveryKernel: each wait in the workload's process is one of an
// update or a delete, and each of these waits is seen.
func TestVMUpdateWaitsOnEveryKernel(t *testing.T) {
	for _, kernel := range vmtest.Kernels() {
		t.Run(kernel, func(t *testing.T) {
			t.Parallel()
			jobs := waitsJobs(kernel)
			replies := vmtest.Call[[]waitsReply](t, vmtest.VM(t, kernel), waitsTask, jobs)
			if len(replies) != len(jobs) {
				t.Fatalf("%d replies of %d trials", len(replies), len(jobs))
			}
			for i, r := range replies {
				each, ok := jobs[i].waits[kernel]
				if !ok {
					each = jobs[i].waits[""]
				}
				if r.Ops != 5 || r.Waits != r.Ops*each {
					t.Errorf("%s %s: %d waits in %d operations, want %d in each", jobs[i].Strategy, jobs[i].Flags, r.Waits, r.Ops, each)
				}
			}
		})
	}
}
