// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ElementCall is BPF_MAP_LOOKUP_ELEM or BPF_MAP_UPDATE_ELEM on one map without
// anything around it: what a library adds is not what is measured. One
// goroutine at a time.
type ElementCall struct {
	attr  ElementAttr
	key   []uint32
	value []byte
}

// ElementAttr is the part of union bpf_attr for one element. Key and Value are addresses.
type ElementAttr struct {
	FD         uint32
	_          uint32
	Key, Value uint64
	Flags      uint64
}

// NewElementCall prepares for values of size bytes (of every CPU together,
// where a map has one for each).
func NewElementCall(m *ebpf.Map, size int) *ElementCall {
	c := &ElementCall{key: make([]uint32, 1), value: make([]byte, size)}
	c.attr = ElementAttr{FD: uint32(m.FD())}
	c.attr.Key, c.attr.Value = address(unsafe.Pointer(&c.key[0])), address(unsafe.Pointer(&c.value[0]))
	return c
}

// address is where p points to, for the kernel.
func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// Do looks up or updates one element: cmd is BPF_MAP_LOOKUP_ELEM or
// BPF_MAP_UPDATE_ELEM.
func (c *ElementCall) Do(cmd uintptr, key uint32) error {
	c.key[0] = key
	_, _, errno := unix.RawSyscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&c.attr)), unsafe.Sizeof(c.attr))
	runtime.KeepAlive(c)
	if errno != 0 {
		return errno
	}
	return nil
}

// Stamp updates an element with 8 bytes all through, on every CPU where a map has a
// value for each.
func (c *ElementCall) Stamp(key uint32, stamp uint64) error {
	for at := 0; at+8 <= len(c.value); at += 8 {
		binary.NativeEndian.PutUint64(c.value[at:], stamp)
	}
	return c.Do(unix.BPF_MAP_UPDATE_ELEM, key)
}

// FirstWord is the beginning of what was looked up last.
func (c *ElementCall) FirstWord() uint64 { return binary.NativeEndian.Uint64(c.value) }
