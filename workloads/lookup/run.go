// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

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

// Run measures one path after the other.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop, err := i.startReaders()
	if err != nil {
		return workloads.Result{}, err
	}
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	if i.cfg.InnerEntriesDiffer {
		if err := i.proveInnerEntries(ctx); err != nil {
			return i.result, errors.Join(err, stop())
		}
	}
	total := uint64(0)
	for _, path := range i.cfg.Paths {
		total += i.cfg.Count
		if i.tracer != nil && i.cfg.function(path) != "" {
			total += i.cfg.Count // again with the probe
		}
	}
	all := []*instance{i}
	if i.unprivileged != nil {
		all, total = append(all, i.unprivileged), 2*total
		if err := i.measureMemory(); err != nil {
			return i.result, errors.Join(err, stop())
		}
	}
	err = mapops.WhileQuiet(&i.result, func() error {
		for _, path := range i.cfg.Paths {
			for _, maps := range all {
				if ctx.Err() != nil {
					i.result.Interrupted = true
					return nil
				}
				if err := i.measure(ctx, path, maps, func() { progress(min(i.result.Ops, total), total) }); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return i.result, errors.Join(err, stop())
}

// measure times one path to some maps by itself, and in turns with the probe on their
// lookup function.
func (i *instance) measure(ctx context.Context, path string, maps *instance, progress func()) error {
	p, err := maps.timedPath(path)
	if err != nil {
		return err
	}
	if p.Loops != nil {
		defer p.Loops.Close()
	}
	if maps == i.unprivileged {
		p.Path += unprivilegedSuffix
	}
	if err := i.keepCode(p); err != nil {
		return err
	}
	p.OnBatch = func(n int) { i.result.Ops += uint64(n); progress() }
	without, with, err := p.Measure(ctx, i.tracer, &i.result)
	if without.Ops < i.cfg.Count || with.Ops > 0 && with.Ops < i.cfg.Count {
		i.result.Interrupted = true
	}
	return err
}

// timedPath makes n lookups by a path ready.
func (i *instance) timedPath(path string) (*mapops.ProbedPath, error) {
	keys := mapops.NewKeySequence(i.cfg.Pattern, i.cfg.filled(), uint64(i.cfg.ValueSize))
	inject, err := i.cfg.injected(path)
	if err != nil {
		return nil, err
	}
	p := &mapops.ProbedPath{Path: path, Function: i.cfg.function(path), Map: i.watched(path), Sample: i.cfg.Sample, Count: i.cfg.Count}
	switch path {
	case mapops.PathSyscall:
		m := i.m
		if i.outer != nil {
			m, keys = i.outer, mapops.NewKeySequence(mapops.PatternSequential, 1, 8)
		}
		calls := &elementCalls{call: mapops.NewElementCall(m, i.valueBytes(m)), keys: keys, n: mapops.CallsPerBatch, spin: mapops.SpinRounds(inject, mapops.CallsPerBatch)}
		p.Batch, p.How = calls.batch, fmt.Sprintf("batches of %d calls of bpf(2), timed around", mapops.CallsPerBatch)
		return p, nil
	case mapops.PathBatch:
		b, err := i.newMapBatches()
		p.Batch, p.WholeCalls, p.How = b.batch, true, fmt.Sprintf("calls for up to %d elements each, timed around", b.n)
		return p, err
	}
	p.Loops, err = mapops.NewLoopTurns(mapops.LoopSpec{Path: path, Elements: mapops.LookupsPerBatch, Maps: i.loopMaps(path), Keys: keys, ExtraInstructions: inject}, true)
	if errors.Is(err, unix.EINVAL) && path == mapops.PathPerCPUHelper {
		err = fmt.Errorf("%w (bpf_map_lookup_percpu_elem came with 5.19, 07343110b293)", err)
	}
	return p, err
}

// valueBytes is how much a lookup by bpf(2) writes.
func (i *instance) valueBytes(m *ebpf.Map) int {
	if m.Type() == ebpf.PerCPUArray {
		return int(mapops.Stride(uint64(m.ValueSize()))) * i.cpus
	}
	return int(m.ValueSize())
}

func (i *instance) loopMaps(path string) mapops.LoopMaps {
	maps := mapops.LoopMaps{Map: i.m, Outer: i.outer, Other: i.other}
	if path == mapops.PathHelper && i.outerF != nil {
		maps.Map, maps.Outer = i.inner, i.outerF
	}
	return maps
}

// watched is the map whose lookups by a path are timed.
func (i *instance) watched(path string) *ebpf.Map {
	if path == mapops.PathSyscall && i.outer != nil {
		return i.outer
	}
	return i.loopMaps(path).Map
}

// function names the kernel's function behind a path, where there is one that
// a probe can see: in inlined lookups there is none, and in batches of a hash
// it is no element's.
func (l *Workload) function(path string) string {
	switch path {
	case mapops.PathSyscall:
		return map[string]string{
			mapops.MapArray: "array_map_lookup_elem", mapops.MapPerCPUArray: "bpf_percpu_array_copy",
			mapops.MapHash: "htab_map_lookup_elem", mapops.MapLRUHash: "htab_lru_map_lookup_elem_sys",
			mapops.OuterArray: "bpf_fd_array_map_lookup_elem", mapops.OuterHash: "bpf_fd_htab_map_lookup_elem",
		}[l.Map]
	case mapops.PathHelper:
		if l.nested() && !l.InnerFlag {
			return "" // inlined all the same
		}
		return map[string]string{
			mapops.MapArray: "array_map_lookup_elem", mapops.MapPerCPUArray: "percpu_array_map_lookup_elem",
			mapops.MapHash: "htab_map_lookup_elem", mapops.MapLRUHash: "htab_lru_map_lookup_elem",
			mapops.OuterArray: "array_map_lookup_elem", mapops.OuterHash: "array_map_lookup_elem",
		}[l.Map]
	case mapops.PathPerCPUHelper:
		return "percpu_array_map_lookup_percpu_elem"
	case mapops.PathBatch:
		return map[string]string{mapops.MapArray: "array_map_lookup_elem", mapops.MapPerCPUArray: "bpf_percpu_array_copy"}[l.Map]
	}
	return ""
}

// elementCalls looks up by one bpf(2) each.
type elementCalls struct {
	call *mapops.ElementCall
	keys mapops.KeySequence
	n    int
	spin uint64 // rounds of an empty loop, planted
}

func (c *elementCalls) batch() (int64, int, error) {
	begin := time.Now()
	for range c.n {
		key := c.keys.Next()
		if err := c.call.Do(unix.BPF_MAP_LOOKUP_ELEM, key); err != nil {
			return 0, 0, fmt.Errorf("look up element %d: %w", key, err)
		}
	}
	mapops.Spin(c.spin)
	return time.Since(begin).Nanoseconds(), c.n, nil
}

// startReaders runs inlined lookups on goroutines of their own until the
// returned function is called.
func (i *instance) startReaders() (stop func() error, err error) {
	done := make(chan struct{})
	errs := make([]error, i.cfg.Readers)
	var wg sync.WaitGroup
	stop = func() error { close(done); wg.Wait(); return errors.Join(errs...) }
	for r := range i.cfg.Readers {
		keys := mapops.NewKeySequence(mapops.PatternRandom, i.cfg.filled(), uint64(i.cfg.ValueSize))
		l, err := mapops.NewLoop(mapops.LoopSpec{Path: mapops.PathInlined, Elements: mapops.LookupsPerBatch, Maps: i.loopMaps(mapops.PathInlined), Keys: keys})
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
					if _, errs[r] = l.Run(); errs[r] != nil {
						return
					}
				}
			}
		})
	}
	return stop, nil
}
