// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"bytes"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// memoryLeft is the least memory that this machine was seen to have left. Safe for
// concurrent use.
type memoryLeft struct{ bytes atomic.Uint64 }

// look looks once.
func (m *memoryLeft) look() {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return
	}
	now := memAvailable(data)
	if had := m.bytes.Load(); now != 0 && (had == 0 || now < had) {
		m.bytes.Store(now)
	}
}

// least is it in bytes, 0 where nobody could look.
func (m *memoryLeft) least() uint64 { return m.bytes.Load() }

// memAvailable is MemAvailable of the text of /proc/meminfo in bytes, 0 where it has
// none.
func memAvailable(meminfo []byte) uint64 {
	_, rest, ok := bytes.Cut(meminfo, []byte("\nMemAvailable:"))
	f := bytes.Fields(rest)
	if !ok || len(f) == 0 {
		return 0
	}
	kb, err := strconv.ParseUint(string(f[0]), 10, 54)
	if err != nil {
		return 0
	}
	return kb << 10
}

// maxRSS is the most memory in bytes that this process had resident, 0: not known.
func maxRSS() uint64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return uint64(usage.Maxrss) << 10
}
