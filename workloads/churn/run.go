// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Run replaces inner maps until the count or the duration is reached.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop, err := i.startReaders()
	if err != nil {
		return workloads.Result{}, err
	}
	stopHeld, err := i.startCopyingReader()
	if err != nil {
		return workloads.Result{}, errors.Join(err, stop())
	}
	letGo, err := i.held.Start()
	if err != nil {
		return workloads.Result{}, errors.Join(err, stopHeld(), stop())
	}
	result, err := i.loop(ctx, progress)
	i.held.Report(&result)
	return result, errors.Join(err, letGo(), stopHeld(), stop())
}

func (i *instance) loop(ctx context.Context, progress func(done, total uint64)) (res workloads.Result, err error) {
	count, duration := i.cfg.Count, i.cfg.Duration
	injected, _, err := i.cfg.injected()
	if err != nil {
		return workloads.Result{}, err
	}
	res.Loop = "closed"
	if i.outer != nil {
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			return res, err
		}
		res.OuterBytes = mapops.MapBytes(i.cfg.outerSpec(), cpus)
	}
	if i.cfg.Rate > 0 {
		res.Loop = "open"
	}
	begin := time.Now()
	if i.cfg.Rate > 0 {
		defer func() {
			res.AskedRate, res.AchievedRate = i.cfg.Rate, achievedRate(res.Ops, i.cfg.Rate, time.Since(begin))
		}()
	}
	for op := uint64(0); ; op++ {
		if ctx.Err() != nil {
			res.Interrupted = true
			return res, nil
		}
		if count > 0 && op >= count || duration > 0 && time.Since(begin) >= duration {
			return res, nil
		}
		// What a real agent has ready when the change comes is made before
		// the clock starts.
		fresh, err := i.prepare()
		if err != nil {
			return res, err
		}
		var intended time.Time
		if i.cfg.Rate > 0 {
			intended = begin.Add(time.Duration(float64(op) / i.cfg.Rate * 1e9))
			// Late already: no wait, and the lateness is in the latency.
			if !sleepUntil(ctx, intended, begin, duration) {
				res.Interrupted = ctx.Err() != nil
				i.unused = fresh
				return res, nil
			}
		}
		if err := i.held.Enter(); err != nil {
			return res, errors.Join(err, closeAll(fresh))
		}
		start := time.Now()
		if i.cfg.Rate > 0 {
			start = intended
		}
		mapops.Spin(injected.of(op))
		puts, err := i.operate(op, fresh)
		took := time.Since(start)
		res.LastPuts += puts
		err = errors.Join(err, i.held.Leave())
		if err != nil {
			return res, err
		}
		res.Ops++
		i.record(took.Nanoseconds())
		progress(res.Ops, count)
	}
}

// achievedRate is how many operations a second were done of an open loop that
// took that long. The time until the next one would have begun counts, so that a
// loop that keeps up has exactly the rate that was asked for.
func achievedRate(ops uint64, asked float64, took time.Duration) float64 {
	if ops == 0 {
		return 0
	}
	return float64(ops) / max(float64(ops)/asked, took.Seconds())
}

// sleepUntil waits for the time of the next operation, and tells whether there
// is one: not where duration, if any, ends before. An interrupt ends the wait.
func sleepUntil(ctx context.Context, next, begin time.Time, duration time.Duration) bool {
	over := duration > 0 && next.Sub(begin) >= duration
	if over {
		next = begin.Add(duration)
	}
	// The runtime's timers are in whole milliseconds, and an operation ends
	// with a tick: all would begin a whole number of milliseconds after one.
	// The last of the wait is the kernel's, to 50 µs.
	if wait := time.Until(next) - exactSleep; wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
	}
	for wait := time.Until(next); wait > 0 && ctx.Err() == nil; wait = time.Until(next) {
		ts := unix.NsecToTimespec(wait.Nanoseconds())
		_ = unix.Nanosleep(&ts, nil) // whatever interrupted it: the rest
	}
	return ctx.Err() == nil && !over
}

// exactSleep is more than a timer of the runtime can be late.
const exactSleep = 3 * time.Millisecond

// prepare makes the inner maps of one operation.
func (i *instance) prepare() ([]*ebpf.Map, error) {
	fresh := make([]*ebpf.Map, 0, i.cfg.Batch)
	for range i.cfg.Batch {
		m, err := i.newInner()
		if err != nil {
			closeAll(fresh)
			return nil, err
		}
		fresh = append(fresh, m)
	}
	return fresh, nil
}

func closeAll(maps []*ebpf.Map) error {
	var errs []error
	for _, m := range maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// operate does one operation and returns how many last puts it caused.
func (i *instance) operate(op uint64, fresh []*ebpf.Map) (puts uint64, err error) {
	n := uint64(len(fresh))
	if i.outer == nil {
		return n, closeAll(fresh)
	}
	// After it the slots have the only references.
	defer func() { err = errors.Join(err, closeAll(fresh)) }()
	slot := uint32(op * n % uint64(i.cfg.filled()))
	if n > 1 {
		return i.operateBatch(slot, fresh)
	}
	if i.cfg.Op == opDelete {
		if err := i.outer.Delete(slot); err != nil {
			return 0, fmt.Errorf("delete slot %d of %s: %w", slot, i.cfg.Outer, err)
		}
		return 1, i.update(slot, fresh[0])
	}
	if err := i.update(slot, fresh[0]); err != nil {
		return 0, err
	}
	return 1, nil
}

func (i *instance) operateBatch(first uint32, fresh []*ebpf.Map) (uint64, error) {
	keys, fds := make([]uint32, len(fresh)), make([]uint32, len(fresh))
	for j, m := range fresh {
		keys[j] = (first + uint32(j)) % i.cfg.filled()
		fds[j] = uint32(m.FD())
	}
	var puts uint64
	if i.cfg.Op == opDelete {
		n, err := i.outer.BatchDelete(keys, nil)
		puts = uint64(n)
		if err != nil {
			return puts, batchError("delete", i.cfg.Outer, err)
		}
	}
	n, err := i.outer.BatchUpdate(keys, fds, nil)
	runtime.KeepAlive(fresh)
	if i.cfg.Op == opReplace {
		puts = uint64(n)
	}
	if err != nil {
		return puts, batchError("update", i.cfg.Outer, err)
	}
	return puts, nil
}

func batchError(verb, outer string, err error) error {
	if errors.Is(err, ebpf.ErrNotSupported) {
		return fmt.Errorf("batched %s of %s: %w (this kernel has none for maps of maps; leave --batch out)", verb, outer, err)
	}
	return fmt.Errorf("batched %s of %s: %w", verb, outer, err)
}

// startReaders runs the reader programs on goroutines of their own until the
// returned function is called.
func (i *instance) startReaders() (stop func() error, err error) {
	if i.readers == nil {
		return func() error { return nil }, nil
	}
	run := func() error {
		// A test run of a sleepable program takes no repeat count.
		opts := &ebpf.RunOptions{}
		if i.readers != i.holder {
			opts.Data, opts.Repeat = make([]byte, 64), 1000
		}
		_, err := i.readers.Run(opts)
		return err
	}
	if err := run(); err != nil {
		return nil, fmt.Errorf("run reader program: %w", err)
	}
	done := make(chan struct{})
	errs := make([]error, i.cfg.Readers)
	var wg sync.WaitGroup
	for r := range i.cfg.Readers {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if errs[r] = run(); errs[r] != nil {
						return
					}
				}
			}
		})
	}
	return func() error { close(done); wg.Wait(); return errors.Join(errs...) }, nil
}
