// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"

	"golang.org/x/sys/unix"
)

// enotsupp is the kernel's own, of its include/linux/errno.h.
const enotsupp = unix.Errno(524)

// ErrnoName names the errno in an error as the kernel's sources do; empty: there is none.
func ErrnoName(err error) string {
	var errno unix.Errno
	switch {
	case !errors.As(err, &errno):
		return ""
	case errno == enotsupp:
		return "ENOTSUPP"
	case errno == unix.EOPNOTSUPP: // which ENOTSUP is, too
		return "EOPNOTSUPP"
	}
	return unix.ErrnoName(errno)
}

// Refused tells an operation or a map that this kernel hasn't from one that fails.
func Refused(err error) bool {
	return errors.Is(err, enotsupp) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}
