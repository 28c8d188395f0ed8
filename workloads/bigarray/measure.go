// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// maxCopied bounds what a timed part copies when values are large.
const maxCopied = 64 << 20

// measure times lookups and updates by every path.
func (i *instance) measure(ctx context.Context, step func()) error {
	return mapops.WhileQuiet(&i.result, func() error {
		for _, path := range i.cfg.Paths {
			for _, write := range []bool{false, true} {
				if err := i.measurePath(ctx, path, write, step); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (i *instance) measurePath(ctx context.Context, path string, write bool, step func()) (err error) {
	p, err := i.timedPath(path, write)
	if err != nil {
		return err
	}
	if p.Loops != nil {
		defer func() { err = errors.Join(err, p.Loops.Close()) }()
	}
	p.OnBatch = func(n int) { i.result.Ops += uint64(n); step() }
	_, _, err = p.Measure(ctx, i.tracer, &i.result)
	return err
}

// timedPath makes one way to look up or update ready.
func (i *instance) timedPath(path string, write bool) (*mapops.ProbedPath, error) {
	keys := mapops.NewKeySequence(i.cfg.Pattern, i.cfg.entries(), i.cfg.stride())
	verb := "look up"
	if write {
		verb = "update"
	}
	p := &mapops.ProbedPath{Path: path, Write: write, Map: i.m, Count: i.cfg.Count}
	n := mapops.LookupsPerBatch
	// What is copied whole is done less often.
	if path == mapops.PathSyscall || path == mapops.PathBatch || path == mapops.PathHelper && write {
		if path == mapops.PathSyscall {
			n = mapops.CallsPerBatch
		}
		n = max(1, min(n, int(maxCopied/64/i.cfg.stride())))
		p.Count = max(uint64(n), min(p.Count, maxCopied/i.cfg.stride()))
	}
	if !write && (path == mapops.PathSyscall || path == mapops.PathBatch || path == mapops.PathHelper) {
		p.Function = "array_map_lookup_elem"
	}
	switch path {
	case mapops.PathMmap:
		p.How = fmt.Sprintf("batches of %d accesses to a byte through mmap", n)
		p.Batch = func() (int64, int, error) { return i.accessMapped(&keys, n, write), n, nil }
	case mapops.PathSyscall:
		cmd := uintptr(unix.BPF_MAP_LOOKUP_ELEM)
		if write {
			cmd = unix.BPF_MAP_UPDATE_ELEM
		}
		call := mapops.NewElementCall(i.m, int(i.cfg.ValueSize))
		p.How = fmt.Sprintf("batches of %d calls of bpf(2), timed around", n)
		p.Batch = func() (int64, int, error) {
			begin := time.Now()
			for range n {
				key := keys.Next()
				if err := call.Do(cmd, key); err != nil {
					return 0, 0, fmt.Errorf("%s element %d: %w", verb, key, err)
				}
			}
			return time.Since(begin).Nanoseconds(), n, nil
		}
	case mapops.PathBatch:
		call := mapops.NewBatchCall(i.m, n, int(i.cfg.stride()))
		p.How = fmt.Sprintf("calls for %d elements each, timed around", n)
		p.Batch = func() (int64, int, error) {
			ns, done, err := callBatch(call, &keys, write)
			if err != nil {
				err = fmt.Errorf("%s %d elements at once: %w", verb, n, err)
			}
			return ns, done, err
		}
	default:
		var err error
		if p.Loops, err = mapops.NewLoopTurns(mapops.LoopSpec{Path: path, Elements: n, Maps: mapops.LoopMaps{Map: i.m, Other: i.other}, Keys: keys, Write: write}, false); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// mmapSum keeps the reads of accessMapped from being compiled away.
var mmapSum byte //nolint:unused // it is written to, which is its use

// accessMapped reads or writes a byte of n elements, and says how long that took.
func (i *instance) accessMapped(keys *mapops.KeySequence, n int, write bool) int64 {
	memory, stride := i.mapped, i.cfg.stride()
	var sum byte
	begin := time.Now()
	if write {
		for range n {
			memory[uint64(keys.Next())*stride] = 1
		}
	} else {
		for range n {
			sum += memory[uint64(keys.Next())*stride]
		}
	}
	took := time.Since(begin).Nanoseconds()
	mmapSum += sum
	return took
}

// callBatch looks up or updates as many elements as there is room for by one
// bpf(2) call. A lookup takes those that follow one another from a place that
// the pattern chooses; an update takes its keys as they come. The call that
// reaches the end of the array takes fewer.
func callBatch(call *mapops.BatchCall, keys *mapops.KeySequence, write bool) (ns int64, done int, err error) {
	cmd := uintptr(unix.BPF_MAP_LOOKUP_BATCH)
	n := uint32(len(call.Keys))
	call.FromStart()
	if write {
		cmd = unix.BPF_MAP_UPDATE_BATCH
		for j := range call.Keys {
			call.Keys[j] = keys.Next()
		}
	} else if first := keys.Next(); first > 0 && uint64(first)+uint64(n) < keys.Len() {
		call.After(first - 1)
	}
	begin := time.Now()
	got, err := call.Do(cmd, n)
	took := time.Since(begin).Nanoseconds()
	end := errors.Is(err, unix.ENOENT)
	if err != nil && !end {
		return 0, 0, err
	}
	if got != n && !end || got == 0 {
		return 0, 0, fmt.Errorf("%d of %d came", got, n)
	}
	return took, int(got), nil
}
