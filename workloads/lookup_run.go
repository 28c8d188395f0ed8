// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	// batchLookups is how many lookups are timed together.
	batchLookups = 1024
	// batchCalls is how many calls of bpf(2) are: few, so that a batch in
	// which something else ran does not move the median.
	batchCalls = 16
	// minLookups gives each figure enough batches for its quantiles.
	minLookups = 20 * batchLookups
)

// taker does some lookups and says how many, and how long they took.
type taker interface {
	take() (ns int64, n int, err error)
}

func (l *loop) take() (int64, int, error) {
	ns, err := l.run()
	return ns, l.n, err
}

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
	err = i.result.whileQuiet(func() error {
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
	t, how, err := i.taker(path, batchLookups)
	if err != nil {
		return err
	}
	p := probed{path: path, how: how, take: t.take, function: i.function(path), m: i.watched(path), count: i.cfg.Count,
		step: func(n int) { i.result.Ops += uint64(n); progress() }}
	if loops, ok := t.(*loopTurns); ok {
		defer loops.Close()
		p.loops = loops
	}
	without, with, err := p.measure(ctx, i.tracer, &i.result)
	if without.ops < i.cfg.Count || with.ops > 0 && with.ops < i.cfg.Count {
		i.result.Interrupted = true
	}
	return err
}

// taker returns what does n lookups by a path, and says how they are timed,
// unless they are loops.
func (i *lookupInstance) taker(path string, n int) (t taker, how string, err error) {
	step := newStepper(i.cfg.Pattern, i.cfg.entries(), uint64(i.cfg.ValueSize))
	inject, err := i.cfg.injected(path)
	if err != nil {
		return nil, "", err
	}
	switch path {
	case pathSyscall:
		m := i.m
		if i.outer != nil {
			m, step = i.outer, newStepper(patternSequential, 1, 8)
		}
		return &syscallTaker{call: newElementCall(m, i.valueBytes(m)), step: step, n: batchCalls, spin: spinRounds(inject, batchCalls)}, fmt.Sprintf("batches of %d calls of bpf(2), timed around", batchCalls), nil
	case pathBatch:
		b, err := i.newBatchTaker(n)
		return b, fmt.Sprintf("calls for up to %d elements each, timed around", b.n), err
	}
	l, err := newLoopTurns(loopSpec{path: path, n: n, maps: i.loopMaps(path), step: step, inject: inject}, true)
	if errors.Is(err, unix.EINVAL) && path == pathPerCPUHelper {
		err = fmt.Errorf("%w (bpf_map_lookup_percpu_elem came with 5.19, 07343110b293)", err)
	}
	return l, "", err
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

func medianOf(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// syscallTaker looks up by one bpf(2) each.
type syscallTaker struct {
	call *elementCall
	step stepper
	n    int
	spin uint64 // rounds of an empty loop, planted
}

func (s *syscallTaker) take() (int64, int, error) {
	begin := time.Now()
	for range s.n {
		if err := s.call.do(unix.BPF_MAP_LOOKUP_ELEM, s.step.key()); err != nil {
			return 0, 0, fmt.Errorf("look up element %d: %w", s.call.key[0], err)
		}
	}
	spin(s.spin)
	return time.Since(begin).Nanoseconds(), s.n, nil
}

// startReaders runs inlined lookups on goroutines of their own until the
// returned function is called.
func (i *lookupInstance) startReaders() (stop func() error, err error) {
	done := make(chan struct{})
	errs := make([]error, i.cfg.Readers)
	var wg sync.WaitGroup
	stop = func() error { close(done); wg.Wait(); return errors.Join(errs...) }
	for r := range i.cfg.Readers {
		step := newStepper(patternRandom, i.cfg.entries(), uint64(i.cfg.ValueSize))
		l, err := newLoop(loopSpec{path: pathInlined, n: batchLookups, maps: i.loopMaps(pathInlined), step: step})
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
