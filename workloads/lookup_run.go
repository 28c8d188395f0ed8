// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Run measures one path after the other.
func (i *lookupInstance) Run(ctx context.Context, progress func(done, total uint64)) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop, err := i.startReaders()
	if err != nil {
		return Result{}, err
	}
	i.result = Result{Loop: "closed", Metrics: map[string]Metric{}}
	total := uint64(0)
	for _, path := range i.cfg.Paths {
		total += i.cfg.Count
		if i.tracer != nil && i.function(path) != "" {
			total += i.cfg.Count // again with the probe
		}
	}
	err = whileQuiet(&i.result, func() error {
		for _, path := range i.cfg.Paths {
			if ctx.Err() != nil {
				i.result.Interrupted = true
				break
			}
			if err := i.measure(ctx, path, func() { progress(min(i.result.Ops, total), total) }); err != nil {
				return err
			}
		}
		return nil
	})
	return i.result, errors.Join(err, stop())
}

// measure times one path by itself, and in turns with the probe on the map's
// lookup function.
func (i *lookupInstance) measure(ctx context.Context, path string, progress func()) error {
	p, err := i.timedPath(path, batchLookups)
	if err != nil {
		return err
	}
	if p.loops != nil {
		defer p.loops.Close()
	}
	p.onBatch = func(n int) { i.result.Ops += uint64(n); progress() }
	without, with, err := p.measure(ctx, i.tracer, &i.result)
	if without.ops < i.cfg.Count || with.ops > 0 && with.ops < i.cfg.Count {
		i.result.Interrupted = true
	}
	return err
}

// timedPath makes n lookups by a path ready.
func (i *lookupInstance) timedPath(path string, n int) (*probedPath, error) {
	keys := newKeySequence(i.cfg.Pattern, i.cfg.entries(), uint64(i.cfg.ValueSize))
	inject, err := i.cfg.injected(path)
	if err != nil {
		return nil, err
	}
	p := &probedPath{path: path, function: i.function(path), m: i.watched(path), count: i.cfg.Count}
	switch path {
	case pathSyscall:
		m := i.m
		if i.outer != nil {
			m, keys = i.outer, newKeySequence(patternSequential, 1, 8)
		}
		calls := &elementCalls{call: newElementCall(m, i.valueBytes(m)), keys: keys, n: batchCalls, spin: spinRounds(inject, batchCalls)}
		p.batch, p.how = calls.batch, fmt.Sprintf("batches of %d calls of bpf(2), timed around", batchCalls)
		return p, nil
	case pathBatch:
		b, err := i.newMapBatches(n)
		p.batch, p.how = b.batch, fmt.Sprintf("calls for up to %d elements each, timed around", b.n)
		return p, err
	}
	p.loops, err = newLoopTurns(loopSpec{path: path, elements: n, maps: i.loopMaps(path), keys: keys, extra: inject}, true)
	if errors.Is(err, unix.EINVAL) && path == pathPerCPUHelper {
		err = fmt.Errorf("%w (bpf_map_lookup_percpu_elem came with 5.19, 07343110b293)", err)
	}
	return p, err
}

// valueBytes is how much a lookup by bpf(2) writes.
func (i *lookupInstance) valueBytes(m *ebpf.Map) int {
	if m.Type() == ebpf.PerCPUArray {
		return int(roundUp8(uint64(m.ValueSize()))) * i.cpus
	}
	return int(m.ValueSize())
}

func (i *lookupInstance) loopMaps(path string) loopMaps {
	maps := loopMaps{m: i.m, outer: i.outer, other: i.other}
	if path == pathHelper && i.outerF != nil {
		maps.m, maps.outer = i.inner, i.outerF
	}
	return maps
}

// watched is the map whose lookups by a path are timed.
func (i *lookupInstance) watched(path string) *ebpf.Map {
	if path == pathSyscall && i.outer != nil {
		return i.outer
	}
	return i.loopMaps(path).m
}

// function names the kernel's function behind a path, where there is one that
// a probe can see: in inlined lookups there is none, and in batches of a hash
// it is no element's.
func (i *lookupInstance) function(path string) string {
	switch path {
	case pathSyscall:
		return map[string]string{
			mapArray: "array_map_lookup_elem", mapPerCPUArray: "bpf_percpu_array_copy",
			mapHash: "htab_map_lookup_elem", mapLRUHash: "htab_lru_map_lookup_elem_sys",
			outerArray: "bpf_fd_array_map_lookup_elem", outerHash: "bpf_fd_htab_map_lookup_elem",
		}[i.cfg.Map]
	case pathHelper:
		if i.cfg.nested() && !i.cfg.InnerFlag {
			return "" // inlined all the same
		}
		return map[string]string{
			mapArray: "array_map_lookup_elem", mapPerCPUArray: "percpu_array_map_lookup_elem",
			mapHash: "htab_map_lookup_elem", mapLRUHash: "htab_lru_map_lookup_elem",
			outerArray: "array_map_lookup_elem", outerHash: "array_map_lookup_elem",
		}[i.cfg.Map]
	case pathPerCPUHelper:
		return "percpu_array_map_lookup_percpu_elem"
	case pathBatch:
		return map[string]string{mapArray: "array_map_lookup_elem", mapPerCPUArray: "bpf_percpu_array_copy"}[i.cfg.Map]
	}
	return ""
}

// elementCalls looks up by one bpf(2) each.
type elementCalls struct {
	call *elementCall
	keys keySequence
	n    int
	spin uint64 // rounds of an empty loop, planted
}

func (c *elementCalls) batch() (int64, int, error) {
	begin := time.Now()
	for range c.n {
		key := c.keys.next()
		if err := c.call.do(unix.BPF_MAP_LOOKUP_ELEM, key); err != nil {
			return 0, 0, fmt.Errorf("look up element %d: %w", key, err)
		}
	}
	spin(c.spin)
	return time.Since(begin).Nanoseconds(), c.n, nil
}

// startReaders runs inlined lookups on goroutines of their own until the
// returned function is called.
func (i *lookupInstance) startReaders() (stop func() error, err error) {
	done := make(chan struct{})
	errs := make([]error, i.cfg.Readers)
	var wg sync.WaitGroup
	stop = func() error { close(done); wg.Wait(); return errors.Join(errs...) }
	for r := range i.cfg.Readers {
		keys := newKeySequence(patternRandom, i.cfg.entries(), uint64(i.cfg.ValueSize))
		l, err := newLoop(loopSpec{path: pathInlined, elements: batchLookups, maps: i.loopMaps(pathInlined), keys: keys})
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		wg.Go(func() {
			defer l.Close()
			for {
				select {
				case <-done:
					return
				default:
					if _, errs[r] = l.run(); errs[r] != nil {
						return
					}
				}
			}
		})
	}
	return stop, nil
}
