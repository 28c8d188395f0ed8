// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"

	"github.com/mapprof/mapprof/target/wire"
	"golang.org/x/sys/unix"
)

// window is the guest's view of the memory that it shares with the host:
// the BAR of QEMU's ivshmem device, which needs no driver.
type window struct {
	mem   []byte
	used  int
	crc   uint32
	taken chan struct{}
}

// openWindow returns nil where there is none, or where the kernel does
// not let anybody map it (lockdown): then the port does it all.
func openWindow() *window {
	devs, _ := filepath.Glob("/sys/bus/pci/devices/*")
	for _, d := range devs {
		if sysfsWord(d+"/vendor") != "0x1af4" || sysfsWord(d+"/device") != "0x1110" {
			continue
		}
		_ = os.WriteFile(d+"/enable", []byte("1"), 0)
		for _, name := range []string{"/resource2_wc", "/resource2"} {
			fd, err := unix.Open(d+name, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			mem, err := unix.Mmap(fd, 0, wire.WindowBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			unix.Close(fd)
			if err == nil {
				return &window{mem: mem, taken: make(chan struct{}, 1)}
			}
		}
	}
	return nil
}

func sysfsWord(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

// add copies bytes that fit into the window.
func (w *window) add(p []byte) {
	w.used += copy(w.mem[w.used:], p)
	w.crc = crc32.Update(w.crc, wire.Castagnoli, p)
}

// announce returns the payload of the frame that hands the window over.
func (w *window) announce() []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(w.used))
	b = binary.LittleEndian.AppendUint32(b, w.crc)
	w.used, w.crc = 0, 0
	return b
}
