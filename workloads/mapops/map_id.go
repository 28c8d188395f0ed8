// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"fmt"
	"runtime"
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
