// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

// Bounds on what an inventory opens: all else comes by iterators.
const (
	maxPins  = 1 << 12 // files in bpffs
	maxSlots = 1 << 15 // of outer maps
	maxPath  = 256     // bytes of a pin's path that are kept
)

// addPins names the maps and programs that are files in the bpffs that this process
// sees.
func (s *liveScan) addPins() {
	n, refused := 0, 0
	for _, root := range bpffs() {
		// What is gone meanwhile is not there.
		_ = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrPermission) {
				refused++
			}
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			if n++; n > maxPins {
				return fs.SkipAll
			}
			kind, id, err := pinned(name)
			if errors.Is(err, fs.ErrPermission) {
				refused++
			}
			if len(name) > maxPath {
				name = name[:maxPath]
			}
			switch kind {
			case probes.HolderMap:
				s.add(id, inventory.Holder{Kind: inventory.Pin, Name: name})
			case probes.HolderProgram:
				if _, known := s.loaders[id]; !known {
					s.loaders[id] = inventory.Holder{Kind: inventory.Pin, Name: name}
				}
			}
			return nil
		})
	}
	if refused > 0 {
		s.unread = append(s.unread, fmt.Sprintf("pins: %d files or directories in bpffs may not be read%s", refused, lacks(unix.CAP_DAC_OVERRIDE)))
	}
	if n > maxPins {
		s.unread = append(s.unread, fmt.Sprintf("pins: of more than %d files in bpffs", maxPins))
	}
}

// lacks says which of the capabilities is missing, for the end of a sentence.
func lacks(capability uint) string {
	if missing := probes.Missing(capability); missing != "" {
		return " (" + missing + " is missing)"
	}
	return ""
}

// bpffs are the directories where a bpffs is mounted, each file system once.
func bpffs() []string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var dirs []string
	seen := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// "22 1 0:20 / /sys/fs/bpf rw shared:2 - bpf bpf rw": device, root, mount point
		mount, kind, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(mount)
		if !ok || !strings.HasPrefix(kind, "bpf ") || len(fields) < 5 || seen[fields[2]+fields[3]] {
			continue
		}
		seen[fields[2]+fields[3]] = true
		dirs = append(dirs, unescaped(fields[4]))
	}
	return dirs
}

// unescaped is a path of mountinfo, where spaces are "\040".
func unescaped(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// pinned is what a file in a bpffs is of, and its id: of a link its program. 0: none of
// these.
func pinned(name string) (kind, id uint32, err error) {
	path, err := unix.BytePtrFromString(name)
	if err != nil {
		return 0, 0, err
	}
	get := struct {
		path      uint64
		fd, flags uint32
	}{path: uint64(uintptr(unsafe.Pointer(path)))}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET, uintptr(unsafe.Pointer(&get)), unsafe.Sizeof(get))
	if errno != 0 {
		return 0, 0, errno
	}
	defer unix.Close(int(fd))
	var buf [32]byte
	n, err := unix.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd), buf[:])
	if err != nil {
		return 0, 0, err
	}
	at := 1
	switch strings.TrimPrefix(string(buf[:n]), "anon_inode:") {
	case "bpf-map":
		kind = probes.HolderMap
	case "bpf-prog":
		kind = probes.HolderProgram
	case "bpf_link":
		kind, at = probes.HolderProgram, 2
	default:
		return 0, 0, nil
	}
	// The infos of all begin with the type and the id, a link's then has its program's.
	var info [3]uint32
	ask := struct {
		fd, len uint32
		info    uint64
	}{uint32(fd), uint32(unsafe.Sizeof(info)), uint64(uintptr(unsafe.Pointer(&info)))}
	if _, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&ask)), unsafe.Sizeof(ask)); errno != 0 {
		return 0, 0, errno
	}
	return kind, info[at], nil
}

// addInner names the maps that are in an outer map.
func (s *liveScan) addInner(outer *probes.MapItem, name string) {
	m, err := ebpf.NewMapFromID(ebpf.MapID(outer.Id))
	if errors.Is(err, os.ErrPermission) {
		if s.outer++; s.outer == 1 {
			s.unread = append(s.unread, "the maps in outer maps: the kernel refuses to open them"+lacks(unix.CAP_SYS_ADMIN))
		}
		return
	}
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) { // it has gone meanwhile
			s.unread = append(s.unread, fmt.Sprintf("the maps in outer map %d: %v", outer.Id, err))
		}
		return
	}
	defer m.Close()
	by := inventory.Holder{Kind: inventory.Outer, Name: name, ID: outer.Id}
	slots, whole := min(outer.MaxEntries, maxSlots-s.slots), true
	if slots < outer.MaxEntries && outer.MapType == results.MapTypeArrayOfMaps {
		whole = false
	}
	var inner uint32
	if outer.MapType == results.MapTypeArrayOfMaps {
		for i := range slots {
			if m.Lookup(i, &inner) == nil {
				s.add(inner, by)
			}
		}
		s.slots += slots
	} else {
		var key []byte
		it := m.Iterate()
		for it.Next(&key, &inner) {
			if s.slots == maxSlots {
				whole = false
				break
			}
			s.slots++
			s.add(inner, by)
		}
		whole = whole && it.Err() == nil
	}
	if !whole {
		s.unread = append(s.unread, fmt.Sprintf("the maps in outer map %d: not all of up to %d were read", outer.Id, outer.MaxEntries))
	}
}
