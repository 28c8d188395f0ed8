// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ReserveFDs makes the process's table of file descriptors hold n of them, or
// as many as the limit allows. A table that grows while other threads use it
// waits for a grace period (the kernel's expand_fdtable), and that wait would be
// counted as one of the workload's. Tables never shrink.
func ReserveFDs(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("reserve file descriptors: %w", err)
	}
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, int(min(n, limit.Cur))-1)
	if err != nil {
		return errors.Join(fmt.Errorf("reserve %d file descriptors: %w", n, err), unix.Close(fd))
	}
	return errors.Join(unix.Close(high), unix.Close(fd))
}

// RaiseFDs lets the process have n open files, if the machine allows that many.
func RaiseFDs(n uint64) error {
	limit := unix.Rlimit{Cur: n, Max: n}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if now.Cur >= n {
		return nil
	}
	limit.Max = max(n, now.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("allow %d open files: %w", n, err)
	}
	return nil
}
