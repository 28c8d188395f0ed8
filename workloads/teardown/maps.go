// SPDX-License-Identifier: Apache-2.0

//go:build linux

package teardown

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// fillThreads is how many threads fill the outer map: updates that wait at once share a
// grace period.
const fillThreads = 64

// keptSuffix ends the name of the map that is taken out while it is held.
const keptSuffix = "k"

// instance holds the maps of one trial.
type instance struct {
	cfg    *Workload
	prefix string
	outer  *ebpf.Map
	spare  *ebpf.Map // what updates that fail would insert; it isn't watched
	kept   *ebpf.Map // in the last slot, and held
	ids    []ebpf.MapID
	bytes  uint64 // of the outer map
	filled bool
	tracer workloads.Tracer
	record func(ns int64)
	result workloads.Result
}

func newInstance(ctx context.Context, w *Workload, cpus int) (_ *instance, err error) {
	i := &instance{cfg: w, prefix: mapops.UniqueName("mp_tear"), bytes: mapops.MapBytes(w.outerSpec(), cpus), record: func(int64) {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	if err := mapops.ReserveFDs(1024 + fillThreads); err != nil {
		return nil, err
	}
	if i.outer, err = mapops.NewMap(w.outerSpec()); err != nil {
		return nil, err
	}
	spare := w.innerSpec()
	spare.Name = "mp_spare"
	if i.spare, err = mapops.NewMap(spare); err != nil {
		return nil, err
	}
	if err := i.fill(ctx); err != nil || !i.filled {
		return i, err
	}
	if i.kept, err = i.insert(w.InnerCount, keptSuffix); err != nil {
		return nil, err
	}
	return i, nil
}

// insert puts a new map into a slot, and returns it open.
func (i *instance) insert(slot uint32, suffix string) (*ebpf.Map, error) {
	spec := i.cfg.innerSpec()
	spec.Name = i.prefix + suffix
	m, err := mapops.NewMap(spec)
	if err != nil {
		return nil, err
	}
	if err := i.outer.Update(slot, m, ebpf.UpdateAny); err != nil {
		return nil, errors.Join(fmt.Errorf("update slot %d of %s: %w", slot, i.cfg.Outer, err), m.Close())
	}
	return m, nil
}

// fill puts a new map, which nothing else holds, into every slot but the last. When ctx
// is done it ends early, without an error.
func (i *instance) fill(ctx context.Context) error {
	slots := i.cfg.InnerCount
	i.ids = make([]ebpf.MapID, slots)
	var next, done atomic.Uint32
	var wg sync.WaitGroup
	var mu sync.Mutex // for what follows
	var failed []error
	for range min(fillThreads, slots) {
		wg.Go(func() {
			// The thread ends with it: tasks-trace grace periods look at every one.
			runtime.LockOSThread()
			for ctx.Err() == nil {
				slot := next.Add(1) - 1
				if slot >= slots {
					return
				}
				err := i.fillSlot(slot)
				mu.Lock()
				if err != nil {
					failed = append(failed, err)
					next.Store(slots) // the others end too
				} else if n := done.Add(1); i.cfg.onSetup != nil {
					i.cfg.onSetup(uint64(n), uint64(slots))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	i.filled = done.Load() == slots
	slices.Sort(i.ids)
	return errors.Join(failed...)
}

func (i *instance) fillSlot(slot uint32) error {
	m, err := i.insert(slot, "")
	if err != nil {
		return err
	}
	i.ids[slot], err = mapops.MapID(m)
	return errors.Join(err, m.Close())
}

// WatchPrefix begins the names of the inner maps, and of no others.
func (i *instance) WatchPrefix() string { return i.prefix }

// Note is empty: nothing is arranged.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// SetRecorder implements workloads.Recorded.
func (i *instance) SetRecorder(record func(ns int64)) { i.record = record }

// Close drops what is left.
func (i *instance) Close() error {
	var errs []error
	for _, m := range []**ebpf.Map{&i.outer, &i.kept, &i.spare} {
		if *m != nil {
			errs = append(errs, (*m).Close())
			*m = nil
		}
	}
	return errors.Join(errs...)
}
