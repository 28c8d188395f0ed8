// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import "golang.org/x/sys/unix"

// MonotonicNS is the clock that bpf_ktime_get_ns() reads, CLOCK_MONOTONIC in
// nanoseconds.
func MonotonicNS() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0 // it can't fail for a clock that exists
	}
	return ts.Nano()
}
