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
	// A hash refuses to give less than a bucket.
	if i.cfg.Map == mapHash || i.cfg.Map == mapLRUHash {
		n = max(n, 64)
	}
	b := &batchTaker{
		m: i.m, n: uint32(n), keys: make([]uint32, n), values: make([]byte, n*i.valueBytes(i.m)),
		in: make([]uint64, 1), out: make([]uint64, 1),
	}
	_, err := b.take()
	b.begun = false
	return b, err
}

func (b *batchTaker) lookups() int { return int(b.n) }

func (b *batchTaker) take() (int64, error) {
	begin := time.Now()
	for left := b.n; left > 0; {
		got, err := b.call(left)
		switch {
		case errors.Is(err, unix.ENOENT): // that was the end
			b.begun = false
		case err != nil:
			hint := ""
			if errors.Is(err, unix.Errno(524) /* ENOTSUPP */) || errors.Is(err, unix.EINVAL) {
				hint = " (this kernel has no batched lookup for this map; leave path batch out)"
			}
			return 0, fmt.Errorf("look up %d elements at once: %w%s", b.n, err, hint)
		default:
			b.begun = true
		}
		if got == 0 && err == nil {
			return 0, fmt.Errorf("look up %d elements at once: none came", b.n)
		}
		left -= min(left, got)
		copy(b.in, b.out)
	}
	return time.Since(begin).Nanoseconds(), nil
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
