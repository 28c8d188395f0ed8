// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// BatchCall is BPF_MAP_LOOKUP_BATCH or BPF_MAP_UPDATE_BATCH on one map without
// anything around it. The kernel takes keys and values from it, or leaves them
// there. One goroutine at a time.
type BatchCall struct {
	Keys   []uint32
	Values []byte
	attr   batchAttr
	in     []uint32 // where a lookup begins, opaque; large enough for any key
	out    []uint32 // where it ended
}

// batchAttr is the part of union bpf_attr for batches.
type batchAttr struct {
	in, out, keys, Values uint64
	count, fd             uint32
	elemFlags, flags      uint64
}

// NewBatchCall prepares for up to n elements with values of size bytes (of every
// CPU together, where a map has one for each). A lookup begins with the first.
func NewBatchCall(m *ebpf.Map, n, size int) *BatchCall {
	b := &BatchCall{Keys: make([]uint32, n), Values: make([]byte, n*size), in: make([]uint32, 2), out: make([]uint32, 2)}
	b.attr = batchAttr{out: address(unsafe.Pointer(&b.out[0])), keys: address(unsafe.Pointer(&b.Keys[0])),
		Values: address(unsafe.Pointer(&b.Values[0])), fd: uint32(m.FD())}
	return b
}

// FromStart lets the next lookup begin with the first element.
func (b *BatchCall) FromStart() { b.attr.in = 0 }

// After lets the next lookup begin with the one after an element of an array.
func (b *BatchCall) After(index uint32) {
	b.in[0] = index
	b.attr.in = address(unsafe.Pointer(&b.in[0]))
}

// Resume lets the next lookup begin where the last one ended.
func (b *BatchCall) Resume() {
	copy(b.in, b.out)
	b.attr.in = address(unsafe.Pointer(&b.in[0]))
}

// Do looks up or updates n elements at most, and says how many. The end of the
// map is ENOENT.
func (b *BatchCall) Do(cmd uintptr, n uint32) (done uint32, err error) {
	b.attr.count = n
	_, _, errno := unix.RawSyscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&b.attr)), unsafe.Sizeof(b.attr))
	runtime.KeepAlive(b)
	if errno != 0 {
		return b.attr.count, errno
	}
	return b.attr.count, nil
}
