// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// MapID asks for a map's id, and for nothing else.
func MapID(m *ebpf.Map) (ebpf.MapID, error) {
	var info struct{ mapType, id uint32 } // the beginning of struct bpf_map_info
	var pinned runtime.Pinner             // the kernel has its address as a number
	pinned.Pin(&info)
	defer pinned.Unpin()
	attr := struct {
		fd, length uint32
		info       uint64
	}{uint32(m.FD()), uint32(unsafe.Sizeof(info)), address(unsafe.Pointer(&info))}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(m)
	if errno != 0 {
		return 0, fmt.Errorf("ask for a map's id: %w", errno)
	}
	return ebpf.MapID(info.id), nil
}

// AwaitLastPut waits until a map has no id any more: its last put takes that. To ask by
// the next id takes no reference.
func AwaitLastPut(id ebpf.MapID, deadline time.Time) error {
	for {
		next, err := ebpf.MapGetNextID(id - 1)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("ask for map %d: %w", id, err)
		}
		if err != nil || next != id {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("map %d still has a reference", id)
		}
		time.Sleep(time.Millisecond)
	}
}
