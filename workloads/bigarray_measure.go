// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
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
	for _, path := range i.cfg.Paths {
		for _, write := range []bool{false, true} {
			if err := i.measurePath(ctx, path, write, step); err != nil {
				return err
			}
		}
	}
	return nil
}

func (i *bigInstance) measurePath(ctx context.Context, path string, write bool, step func()) error {
	stepper := newStepper(i.cfg.Pattern, i.cfg.entries(), i.cfg.stride())
	name, verb := "lookup."+path, "look up"
	if write {
		name, verb = "update."+path, "update"
	}
	var take func() (ns int64, n int, err error)
	var how string
	base := 0.0
	// What is copied whole is done less often.
	count, batch := i.cfg.Count, batchLookups
	switch path {
	case pathSyscall, pathBatch:
		if path == pathSyscall {
			batch = batchCalls
		}
		batch = max(1, min(batch, int(maxCopied/64/i.cfg.stride())))
		count = max(uint64(batch), min(count, maxCopied/i.cfg.stride()))
	}
	switch path {
	case pathMmap:
		how = fmt.Sprintf("batches of %d accesses to a byte through mmap", batch)
		take = func() (int64, int, error) { return i.takeMmap(&stepper, batch, write), batch, nil }
	case pathSyscall:
		cmd := uintptr(unix.BPF_MAP_LOOKUP_ELEM)
		if write {
			cmd = unix.BPF_MAP_UPDATE_ELEM
		}
		call := newElementCall(i.m, int(i.cfg.ValueSize))
		how = fmt.Sprintf("batches of %d calls of bpf(2), timed around", batch)
		take = func() (int64, int, error) {
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
		how = fmt.Sprintf("calls for %d elements each, timed around", batch)
		take = func() (int64, int, error) {
			ns, err := b.take(&stepper, write)
			if err != nil {
				err = fmt.Errorf("%s %d elements at once: %w", verb, batch, err)
			}
			return ns, batch, err
		}
	default:
		spec := loopSpec{path: path, n: batch, maps: loopMaps{m: i.m, other: i.other}, step: stepper, write: write}
		l, err := newLoop(spec)
		if err != nil {
			return err
		}
		defer l.Close()
		spec.path = ""
		empty, err := newLoop(spec)
		if err != nil {
			return err
		}
		defer empty.Close()
		var turns []float64
		for range 20 {
			ns, err := empty.run()
			if err != nil {
				return err
			}
			turns = append(turns, float64(ns)/float64(batch))
		}
		base = medianOf(turns)
		how = fmt.Sprintf("in BPF, batches of %d less the median of an empty loop of the same shape (%.1f a turn)", batch, base)
		take = func() (int64, int, error) { ns, err := l.run(); return ns, batch, err }
	}
	var values []float64
	for done := uint64(0); done < count && ctx.Err() == nil; {
		ns, n, err := take()
		if err != nil {
			return err
		}
		values = append(values, float64(ns)/float64(n)-base)
		done += uint64(n)
		i.result.Ops += uint64(n)
		step()
	}
	i.result.Metrics[name] = Metric{Values: values, Unit: "ns/op", How: how}
	return nil
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

func (b *elementBatch) take(s *stepper, write bool) (int64, error) {
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
		return 0, errno
	}
	if b.attr.count != n && errno == 0 {
		return 0, fmt.Errorf("%d of %d came", b.attr.count, n)
	}
	return took, nil
}
