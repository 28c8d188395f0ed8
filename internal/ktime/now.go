// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ktime

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Now is what bpf_ktime_get_ns() returns at this moment: CLOCK_MONOTONIC in
// nanoseconds.
func Now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(fmt.Sprintf("read clock: %v", err)) // every kernel has it
	}
	return ts.Nano()
}
