// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mmapAccess reaches elements by their address.
type mmapAccess struct {
	memory []byte
	stride uint64
	size   uint64
}

// NewMmapAccess reaches elements through memory that maps an array, by address:
// values of size bytes, stride bytes apart. It keeps the memory.
func NewMmapAccess(memory []byte, stride, size uint64) Accessor {
	return &mmapAccess{memory: memory, stride: stride, size: size}
}

func (a *mmapAccess) Name() string { return PathMmap }

func (a *mmapAccess) Write(index uint32, stamp uint64) error {
	at := uint64(index) * a.stride
	binary.NativeEndian.PutUint64(a.memory[at:], stamp)
	binary.NativeEndian.PutUint64(a.memory[at+a.size-8:], stamp)
	return nil
}

func (a *mmapAccess) Read(index uint32) (first, last uint64, err error) {
	at := uint64(index) * a.stride
	return binary.NativeEndian.Uint64(a.memory[at:]), binary.NativeEndian.Uint64(a.memory[at+a.size-8:]), nil
}

// syscallAccess reaches elements by bpf(2).
type syscallAccess struct{ call *ElementCall }

// NewSyscallAccess reaches elements of an array, of size bytes, by one bpf(2)
// each.
func NewSyscallAccess(m *ebpf.Map, size int) Accessor {
	return &syscallAccess{call: NewElementCall(m, size)}
}

func (a *syscallAccess) Name() string { return PathSyscall }

func (a *syscallAccess) Write(index uint32, stamp uint64) error {
	v := a.call.value
	binary.NativeEndian.PutUint64(v, stamp)
	binary.NativeEndian.PutUint64(v[len(v)-8:], stamp)
	return a.call.Do(unix.BPF_MAP_UPDATE_ELEM, index)
}

func (a *syscallAccess) Read(index uint32) (first, last uint64, err error) {
	err = a.call.Do(unix.BPF_MAP_LOOKUP_ELEM, index)
	v := a.call.value
	return binary.NativeEndian.Uint64(v), binary.NativeEndian.Uint64(v[len(v)-8:]), err
}

// batchAccess reads the element that follows another one by bpf(2)'s batches,
// and writes one as a batch of one.
type batchAccess struct{ call *BatchCall }

// NewBatchAccess reaches elements of an array, of size bytes, by bpf(2)'s
// batches.
func NewBatchAccess(m *ebpf.Map, size int) Accessor {
	return &batchAccess{call: NewBatchCall(m, 1, size)}
}

func (a *batchAccess) Name() string { return PathBatch }

func (a *batchAccess) do(cmd uintptr) error {
	_, err := a.call.Do(cmd, 1)
	if errors.Is(err, unix.ENOENT) { // that was the last
		return nil
	}
	return err
}

func (a *batchAccess) Write(index uint32, stamp uint64) error {
	v := a.call.Values
	a.call.Keys[0] = index
	binary.NativeEndian.PutUint64(v, stamp)
	binary.NativeEndian.PutUint64(v[len(v)-8:], stamp)
	a.call.FromStart()
	return a.do(unix.BPF_MAP_UPDATE_BATCH)
}

func (a *batchAccess) Read(index uint32) (first, last uint64, err error) {
	a.call.FromStart()
	if index > 0 {
		a.call.After(index - 1)
	}
	if err := a.do(unix.BPF_MAP_LOOKUP_BATCH); err != nil {
		return 0, 0, err
	}
	if got := a.call.Keys[0]; got != index {
		return 0, 0, fmt.Errorf("a batch after element %d began with element %d", index-1, got)
	}
	v := a.call.Values
	return binary.NativeEndian.Uint64(v), binary.NativeEndian.Uint64(v[len(v)-8:]), nil
}
