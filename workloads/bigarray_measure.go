// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxCopied bounds what a timed part copies when values are large.
const maxCopied = 64 << 20

// measure times lookups and updates by every path.
func (i *bigInstance) measure(ctx context.Context, step func()) error {
	return i.result.whileQuiet(func() error {
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

func (i *bigInstance) measurePath(ctx context.Context, path string, write bool, step func()) (err error) {
	p, err := i.timedPath(path, write)
	if err != nil {
		return err
	}
	if p.loops != nil {
		defer func() { err = errors.Join(err, p.loops.Close()) }()
	}
	p.step = func(n int) { i.result.Ops += uint64(n); step() }
	_, _, err = p.measure(ctx, i.tracer, &i.result)
	return err
}

// timedPath makes one way to look up or update ready.
func (i *bigInstance) timedPath(path string, write bool) (*probed, error) {
	stepper := newStepper(i.cfg.Pattern, i.cfg.entries(), i.cfg.stride())
	verb := "look up"
	if write {
		verb = "update"
	}
	p := &probed{path: path, write: write, m: i.m, count: i.cfg.Count}
	batch := batchLookups
	// What is copied whole is done less often.
	if path == pathSyscall || path == pathBatch || path == pathHelper && write {
		if path == pathSyscall {
			batch = batchCalls
		}
		batch = max(1, min(batch, int(maxCopied/64/i.cfg.stride())))
		p.count = max(uint64(batch), min(p.count, maxCopied/i.cfg.stride()))
	}
	if !write && (path == pathSyscall || path == pathBatch || path == pathHelper) {
		p.function = "array_map_lookup_elem"
	}
	switch path {
	case pathMmap:
		p.how = fmt.Sprintf("batches of %d accesses to a byte through mmap", batch)
		p.take = func() (int64, int, error) { return i.takeMmap(&stepper, batch, write), batch, nil }
	case pathSyscall:
		cmd := uintptr(unix.BPF_MAP_LOOKUP_ELEM)
		if write {
			cmd = unix.BPF_MAP_UPDATE_ELEM
		}
		call := newElementCall(i.m, int(i.cfg.ValueSize))
		p.how = fmt.Sprintf("batches of %d calls of bpf(2), timed around", batch)
		p.take = func() (int64, int, error) {
			begin := time.Now()
			for range batch {
				if err := call.do(cmd, stepper.key()); err != nil {
					return 0, 0, fmt.Errorf("%s element %d: %w", verb, call.key[0], err)
				}
			}
			return time.Since(begin).Nanoseconds(), batch, nil
		}
	case pathBatch:
		b := newElementBatch(i.m.FD(), batch, int(i.cfg.stride()))
		p.how = fmt.Sprintf("calls for %d elements each, timed around", batch)
		p.take = func() (int64, int, error) {
			ns, n, err := b.take(&stepper, write)
			if err != nil {
				err = fmt.Errorf("%s %d elements at once: %w", verb, batch, err)
			}
			return ns, n, err
		}
	default:
		var err error
		if p.loops, err = newLoopTurns(loopSpec{path: path, n: batch, maps: loopMaps{m: i.m, other: i.other}, step: stepper, write: write}, false); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// mmapSum keeps the reads of takeMmap from being compiled away.
var mmapSum byte //nolint:unused // it is written to, which is its use

func (i *bigInstance) takeMmap(s *stepper, n int, write bool) int64 {
	memory, stride := i.mapped, i.cfg.stride()
	var sum byte
	begin := time.Now()
	if write {
		for range n {
			memory[uint64(s.key())*stride] = 1
		}
	} else {
		for range n {
			sum += memory[uint64(s.key())*stride]
		}
	}
	took := time.Since(begin).Nanoseconds()
	mmapSum += sum
	return took
}

// elementBatch looks up or updates n elements by one bpf(2) call. A lookup
// takes those that follow one another from a place that the pattern chooses;
// an update takes its keys as they come.
type elementBatch struct {
	fd     int
	attr   batchAttr
	keys   []uint32
	words  []uint32
	values []byte
}

func newElementBatch(fd, n, stride int) *elementBatch {
	return &elementBatch{fd: fd, keys: make([]uint32, n), words: make([]uint32, 2), values: make([]byte, n*stride)}
}

// The call that reaches the end of the array takes fewer.
func (b *elementBatch) take(s *stepper, write bool) (ns int64, taken int, err error) {
	cmd := uintptr(unix.BPF_MAP_LOOKUP_BATCH)
	n := uint32(len(b.keys))
	b.attr = batchAttr{out: address(unsafe.Pointer(&b.words[1])), keys: address(unsafe.Pointer(&b.keys[0])),
		values: address(unsafe.Pointer(&b.values[0])), count: n, fd: uint32(b.fd)}
	if write {
		cmd = unix.BPF_MAP_UPDATE_BATCH
		for j := range b.keys {
			b.keys[j] = s.key()
		}
	} else if first := s.key(); first > 0 && uint64(first)+uint64(n) < s.n {
		b.words[0] = first - 1
		b.attr.in = address(unsafe.Pointer(&b.words[0]))
	}
	begin := time.Now()
	_, _, errno := unix.RawSyscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&b.attr)), unsafe.Sizeof(b.attr))
	took := time.Since(begin).Nanoseconds()
	runtime.KeepAlive(b)
	if errno != 0 && errno != unix.ENOENT {
		return 0, 0, errno
	}
	if b.attr.count != n && errno == 0 || b.attr.count == 0 {
		return 0, 0, fmt.Errorf("%d of %d came", b.attr.count, n)
	}
	return took, int(b.attr.count), nil
}
