// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// batchCall is BPF_MAP_LOOKUP_BATCH or BPF_MAP_UPDATE_BATCH on one map without
// anything around it. The kernel takes keys and values from it, or leaves them
// there. One goroutine at a time.
type batchCall struct {
	keys   []uint32
	values []byte
	attr   batchAttr
	in     []uint32 // where a lookup begins, opaque; large enough for any key
	out    []uint32 // where it ended
}

// batchAttr is the part of union bpf_attr for batches.
type batchAttr struct {
	in, out, keys, values uint64
	count, fd             uint32
	elemFlags, flags      uint64
}

// newBatchCall prepares for up to n elements with values of size bytes (of every
// CPU together, where a map has one for each). A lookup begins with the first.
func newBatchCall(m *ebpf.Map, n, size int) *batchCall {
	b := &batchCall{keys: make([]uint32, n), values: make([]byte, n*size), in: make([]uint32, 2), out: make([]uint32, 2)}
	b.attr = batchAttr{out: address(unsafe.Pointer(&b.out[0])), keys: address(unsafe.Pointer(&b.keys[0])),
		values: address(unsafe.Pointer(&b.values[0])), fd: uint32(m.FD())}
	return b
}

// fromStart lets the next lookup begin with the first element.
func (b *batchCall) fromStart() { b.attr.in = 0 }

// after lets the next lookup begin with the one after an element of an array.
func (b *batchCall) after(index uint32) {
	b.in[0] = index
	b.attr.in = address(unsafe.Pointer(&b.in[0]))
}

// goOn lets the next lookup begin where the last one ended.
func (b *batchCall) goOn() {
	copy(b.in, b.out)
	b.attr.in = address(unsafe.Pointer(&b.in[0]))
}

// do looks up or updates n elements at most, and says how many. The end of the
// map is ENOENT.
func (b *batchCall) do(cmd uintptr, n uint32) (done uint32, err error) {
	b.attr.count = n
	_, _, errno := unix.RawSyscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&b.attr)), unsafe.Sizeof(b.attr))
	runtime.KeepAlive(b)
	if errno != 0 {
		return b.attr.count, errno
	}
	return b.attr.count, nil
}
