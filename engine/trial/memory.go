// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
)

// memoryLeft is the least memory that this machine was seen to have left, and what this
// process had resident. Safe for concurrent use.
type memoryLeft struct {
	bytes atomic.Uint64

	mu       sync.Mutex
	began    time.Time // the first look
	resident []results.RSSPoint
	every    time.Duration // between these, at least
}

// look looks once.
func (m *memoryLeft) look() {
	m.lookAt(time.Now(), rss())
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return
	}
	now := memAvailable(data)
	if had := m.bytes.Load(); now != 0 && (had == 0 || now < had) {
		m.bytes.Store(now)
	}
}

// lookAt keeps what is resident at a moment. When the points are full, every second one
// goes, and they are taken half as often.
func (m *memoryLeft) lookAt(now time.Time, bytes uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.began.IsZero() {
		m.began = now
	}
	at := now.Sub(m.began)
	if n := len(m.resident); bytes == 0 || n > 0 && at-time.Duration(m.resident[n-1].AtNS) < m.every {
		return
	}
	if len(m.resident) == results.MaxRSS {
		for i := range results.MaxRSS / 2 {
			m.resident[i] = m.resident[2*i]
		}
		m.resident = m.resident[:results.MaxRSS/2]
		m.every = 2 * at / results.MaxRSS
	}
	m.resident = append(m.resident, results.RSSPoint{AtNS: at.Nanoseconds(), Bytes: bytes})
}

// rss are the points.
func (m *memoryLeft) rss() []results.RSSPoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.resident)
}

// rss is what this process has resident now, 0: not known.
func rss() uint64 {
	data, err := os.ReadFile("/proc/self/statm")
	if f := bytes.Fields(data); err == nil && len(f) > 1 {
		if pages, err := strconv.ParseUint(string(f[1]), 10, 40); err == nil {
			return pages * uint64(os.Getpagesize())
		}
	}
	return 0
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
