// SPDX-License-Identifier: Apache-2.0

//go:build linux

package teardown

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Run updates the outer map, takes the held map out, and closes all.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = workloads.Result{Loop: "closed", OuterBytes: i.bytes, Metrics: map[string]workloads.Metric{}}
	if !i.filled {
		i.result.Interrupted = true
		return i.result, nil
	}
	step := func() { i.result.Ops++; progress(i.result.Ops, 0) }
	for _, stage := range []func(step func()) error{i.updates, i.takeOut, i.tearDown} {
		if ctx.Err() != nil {
			i.result.Interrupted = true
			return i.result, nil
		}
		if err := stage(step); err != nil {
			return i.result, err
		}
	}
	return i.result, nil
}

// update is a kind of update of the outer map.
type update struct {
	name  string
	how   string // it fails
	key   uint32
	m     *ebpf.Map
	flags ebpf.MapUpdateFlags
	fails bool
}

// kinds lists those that fail, on either type of outer map, and one that doesn't: it
// replaces the held map by itself.
func (i *instance) kinds() []update {
	full := i.cfg.InnerCount + 1 // past the end of an array, too many for a hash
	return []update{
		{"update", "", i.cfg.InnerCount, i.kept, ebpf.UpdateAny, false},
		{"update.failed.full", "no room", full, i.spare, ebpf.UpdateAny, true},
		{"update.failed.exists", "BPF_NOEXIST of a key that is there", 0, i.spare, ebpf.UpdateNoExist, true},
		{"update.failed.none", "BPF_EXIST of one that isn't", full, i.spare, ebpf.UpdateExist, true},
	}
}

// updates times each kind, and counts which of them waited for a grace period.
func (i *instance) updates(step func()) error {
	for _, u := range i.kinds() {
		var times []workloads.Call
		var errno unix.Errno
		tid := mapops.ProbesTID()
		calls, err := i.traced(map[string][]string{
			"waits":           {"synchronize_rcu"},
			"waits.expedited": {"synchronize_rcu_expedited"},
		}, func() error {
			for range i.cfg.Updates {
				begin := ktime.Now()
				err := i.outer.Update(u.key, u.m, u.flags)
				end := ktime.Now()
				if (err != nil) != u.fails {
					return fmt.Errorf("%s: update key %d of %s: %w", u.name, u.key, i.cfg.Outer, errors.Join(err, errUnexpected))
				}
				errors.As(err, &errno)
				times = append(times, workloads.Call{TID: tid, BeginNS: begin, EndNS: end})
				i.record(end - begin)
				step()
			}
			return nil
		})
		if err != nil {
			return err
		}
		i.keepUpdates(u, errno, times, calls)
	}
	return nil
}

var errUnexpected = errors.New("the kernel should have refused it, or not")

func (i *instance) keepUpdates(u update, errno unix.Errno, times []workloads.Call, calls map[string]workloads.Calls) {
	how := "bpf(2), BPF_MAP_UPDATE_ELEM of the outer map"
	if u.fails {
		how += ", which fails with " + unix.ErrnoName(errno)
	}
	var took, waits []float64
	waited := 0
	for _, t := range times {
		took = append(took, float64(t.EndNS-t.BeginNS))
		n := 0.0
		for _, name := range []string{"waits", "waits.expedited"} {
			for _, c := range calls[name].List {
				if c.BeginNS >= t.BeginNS && c.EndNS <= t.EndNS && (t.TID == 0 || c.TID == t.TID) {
					n = 1
				}
			}
		}
		waits = append(waits, n)
		waited += int(n)
	}
	i.result.Metrics[u.name] = workloads.Metric{Values: took, Unit: "ns", How: how}
	if len(calls) == 0 { // nothing was timed
		return
	}
	i.result.Metrics[u.name+".waits"] = workloads.Metric{Values: waits, Unit: "waits/op", How: "whether synchronize_rcu or synchronize_rcu_expedited ran in it"}
	outcome := "succeed"
	if u.fails {
		outcome = fmt.Sprintf("fail with %s (%s)", unix.ErrnoName(errno), u.how)
	}
	i.result.Findings = append(i.result.Findings, fmt.Sprintf("of %d updates that %s, %d waited for a grace period", len(times), outcome, waited))
}

// takeOut deletes the held map from the outer one, and drops the last reference only
// then.
func (i *instance) takeOut(step func()) error {
	if err := i.outer.Delete(i.cfg.InnerCount); err != nil {
		return fmt.Errorf("delete slot %d of %s: %w", i.cfg.InnerCount, i.cfg.Outer, err)
	}
	err := i.kept.Close()
	i.kept = nil
	i.result.LastPuts++
	step()
	return err
}

// tearDown closes the outer map and waits until every inner map has lost its last
// reference, which a worker drops.
func (i *instance) tearDown(step func()) error {
	var begin, end int64
	calls, err := i.traced(map[string][]string{"teardown.outer_free": {i.freeFunction()}}, func() error {
		begin = ktime.Now()
		err := errors.Join(i.outer.Close(), i.waitForPuts(step))
		i.outer, end = nil, ktime.Now()
		return err
	})
	if err != nil {
		return err
	}
	i.one("teardown.puts", "from the close of the outer map until each inner map has left the table of ids", float64(end-begin))
	i.result.LastPuts += uint64(i.cfg.InnerCount)
	free, ok := calls["teardown.outer_free"]
	longest := int64(-1)
	for _, c := range free.List {
		if c.BeginNS >= begin {
			longest = max(longest, c.EndNS-c.BeginNS)
		}
	}
	switch {
	case longest >= 0:
		i.one("teardown.outer_free", free.Function+", fentry to fexit", float64(longest))
	case ok:
		i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("no call of %s was seen whole", free.Function))
	}
	return nil
}

func (i *instance) freeFunction() string {
	if i.cfg.Outer == mapops.OuterArray {
		return "array_of_map_free"
	}
	return "htab_of_map_free"
}

func (i *instance) one(name, how string, value float64) {
	i.result.Metrics[name] = workloads.Metric{Values: []float64{value}, Unit: "ns", How: how}
}

// waitForPuts waits until no inner map has a reference any more.
func (i *instance) waitForPuts(step func()) error {
	deadline := time.Now().Add(putsWithin)
	for _, id := range i.ids {
		if err := mapops.AwaitLastPut(id, deadline); err != nil {
			return fmt.Errorf("after the outer map was closed: %w", err)
		}
		step()
	}
	return nil
}

// putsWithin is more than any worker takes.
const putsWithin = 2 * time.Minute

// traced runs f, with the calls of functions where something can time them.
func (i *instance) traced(functions map[string][]string, f func() error) (map[string]workloads.Calls, error) {
	if i.tracer == nil {
		return nil, f()
	}
	return i.tracer.Calls(functions, f)
}
