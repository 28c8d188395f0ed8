// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads"
)

const (
	// fillBatch is how many maps one update puts into the outer map, all open
	// until then.
	fillBatch = 1024
	// fillThreads is how many threads fill it by single updates: those that
	// wait at once share a grace period.
	fillThreads = 256
)

// fill puts a new inner map into each slot that is used. Every update of an outer map
// waits for a grace period: 65536 would take 17 minutes. From 6.8 on (012772581d04) a
// batch waits once; before, many threads wait at once (figures: docs/ACCURACY.md). It
// ends early, without an error, when ctx is done: Run ends at once then.
func (i *instance) fill(ctx context.Context, progress func(done, total uint64)) error {
	if i.cfg.filled() == 1 {
		return i.insert(0)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("ask for the kernel's release: %w", err)
	}
	kernel := workloads.Target{Release: unix.ByteSliceToString(u.Release[:])}
	if !kernel.Before(6, 8) {
		return i.fillInBatches(ctx, progress)
	}
	return i.fillByThreads(ctx, progress)
}

func (i *instance) fillInBatches(ctx context.Context, progress func(done, total uint64)) error {
	slots := i.cfg.filled()
	for first := uint32(0); first < slots && ctx.Err() == nil; {
		n := min(fillBatch, slots-first)
		if err := i.insertBatch(first, n); err != nil {
			return err
		}
		first += n
		progress(uint64(first), uint64(slots))
	}
	return nil
}

// insertBatch puts n new inner maps into the slots from first on.
func (i *instance) insertBatch(first, n uint32) (err error) {
	var keys, fds []uint32
	var maps []*ebpf.Map
	defer func() { err = errors.Join(err, closeAll(maps)) }()
	for slot := first; slot < first+n; slot++ {
		m, err := i.newInner()
		if err != nil {
			return err
		}
		keys, fds, maps = append(keys, slot), append(fds, uint32(m.FD())), append(maps, m)
	}
	if _, err := i.outer.BatchUpdate(keys, fds, nil); err != nil {
		return batchError("update", i.cfg.Outer, err)
	}
	runtime.KeepAlive(maps)
	return nil
}

func (i *instance) fillByThreads(ctx context.Context, progress func(done, total uint64)) error {
	slots := uint64(i.cfg.filled())
	var next atomic.Uint64
	var mu sync.Mutex // for what follows
	var done uint64
	var failed []error
	fillSome := func() error {
		// The thread ends with it: tasks-trace grace periods look at every one.
		runtime.LockOSThread()
		for ctx.Err() == nil {
			slot := next.Add(1) - 1
			if slot >= slots {
				return nil
			}
			if err := i.insert(uint32(slot)); err != nil {
				next.Store(slots) // the others end too
				return err
			}
			mu.Lock()
			done++
			progress(done, slots)
			mu.Unlock()
		}
		return nil
	}
	var wg sync.WaitGroup
	for range min(fillThreads, slots) {
		wg.Go(func() {
			if err := fillSome(); err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// filled is how many slots hold a map, from slot 0 on.
func (c *Workload) filled() uint32 {
	if c.Fill.Given {
		return c.Fill.N
	}
	return c.Slots
}

// OnSetup implements SlowSetup.
func (c *Workload) OnSetup(progress func(done, total uint64)) { c.onSetup = progress }

// SetupWithin implements SlowSetup: to create an inner map and to free it took 0.4 ms
// on emulated CPUs, by threads.
func (c *Workload) SetupWithin() time.Duration {
	const each, element = 2 * time.Millisecond, 20 * time.Microsecond
	return time.Duration(c.filled()) * (each + time.Duration(c.InnerFill.N)*element)
}
