// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// batchTaker looks up many elements by one BPF_MAP_LOOKUP_BATCH. The kernel
// goes through the map in its own order, and begins again after the end.
type batchTaker struct {
	m      *ebpf.Map
	attr   batchAttr
	keys   []uint32
	values []byte
	in     []uint64 // where to go on, opaque; large enough for any key
	out    []uint64
	n      uint32
	begun  bool
}

// batchAttr is the part of union bpf_attr for batches.
type batchAttr struct {
	in, out, keys, values uint64
	count, fd             uint32
	elemFlags, flags      uint64
}

func (i *lookupInstance) newBatchTaker(n int) (*batchTaker, error) {
	n = min(n, int(i.cfg.entries()))
	// A hash gives whole buckets only, and refuses to give none.
	if i.cfg.Map == mapHash || i.cfg.Map == mapLRUHash {
		n = max(n, 256)
	}
	b := &batchTaker{
		m: i.m, n: uint32(n), keys: make([]uint32, n), values: make([]byte, n*i.valueBytes(i.m)),
		in: make([]uint64, 1), out: make([]uint64, 1),
	}
	_, _, err := b.take()
	b.begun = false
	return b, err
}

// take is one call that gave something; the call after the last element may
// not.
func (b *batchTaker) take() (int64, int, error) {
	for range 2 {
		begin := time.Now()
		got, err := b.call(b.n)
		took := time.Since(begin).Nanoseconds()
		b.begun = err == nil
		copy(b.in, b.out)
		switch {
		case err != nil && !errors.Is(err, unix.ENOENT): // ENOENT: that was the end
			hint := ""
			if errors.Is(err, unix.Errno(524) /* ENOTSUPP */) || errors.Is(err, unix.EINVAL) {
				hint = " (this kernel has no batched lookup for this map; leave path batch out)"
			}
			return 0, 0, fmt.Errorf("look up %d elements at once: %w%s", b.n, err, hint)
		case got > 0:
			return took, int(got), nil
		}
	}
	return 0, 0, fmt.Errorf("look up %d elements at once: none came", b.n)
}

func (b *batchTaker) call(count uint32) (uint32, error) {
	b.attr = batchAttr{
		out: address(unsafe.Pointer(&b.out[0])), keys: address(unsafe.Pointer(&b.keys[0])),
		values: address(unsafe.Pointer(&b.values[0])), count: count, fd: uint32(b.m.FD()),
	}
	if b.begun {
		b.attr.in = address(unsafe.Pointer(&b.in[0]))
	}
	_, _, errno := unix.RawSyscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_BATCH, uintptr(unsafe.Pointer(&b.attr)), unsafe.Sizeof(b.attr))
	runtime.KeepAlive(b)
	if errno != 0 {
		return b.attr.count, errno
	}
	return b.attr.count, nil
}
