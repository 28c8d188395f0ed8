// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"context"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Run takes the array through its life.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	step := func() { progress(i.result.Ops, 0) }
	err := i.live(ctx, step)
	if err == nil {
		err = i.free()
	}
	i.result.Interrupted = ctx.Err() != nil
	return i.result, err
}

// live is everything up to the free. What is not done when ctx is done is left
// out.
func (i *instance) live(ctx context.Context, step func()) error {
	if err := i.createTraced(); err != nil {
		return err
	}
	if err := i.createOther(); err != nil {
		return err
	}
	for _, stage := range []func(context.Context, func()) error{i.touch, i.prove, i.proveInner, i.measure} {
		if ctx.Err() != nil {
			return nil
		}
		if err := stage(ctx, step); err != nil {
			return err
		}
		step()
	}
	return nil
}

func (i *instance) has(path string) bool { return slices.Contains(i.cfg.Paths, path) }

// timed keeps how long f took.
func (i *instance) timed(name, how string, f func() error) error {
	begin := time.Now()
	if err := f(); err != nil {
		return err
	}
	i.one(name, "ns", how, float64(time.Since(begin).Nanoseconds()))
	return nil
}

func (i *instance) one(name, unit, how string, value float64) {
	i.result.Metrics[name] = workloads.Metric{Values: []float64{value}, Unit: unit, How: how}
}

// memory keeps how much of the target's memory vmalloc has given out.
func (i *instance) memory(name string) error {
	// From 7.1 on a CPU keeps some pages of the count to itself until asked.
	_ = os.WriteFile("/proc/sys/vm/stat_refresh", []byte("1"), 0)
	used, err := mapops.VmallocUsed()
	if err != nil {
		return err
	}
	i.one(name, "bytes", "VmallocUsed: pages of vmalloc, all of the target's; page tables are not among them", float64(used))
	return nil
}
