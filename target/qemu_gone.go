// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// fromQEMU reads a socket whose other end is QEMU's. A QEMU that ends with
// something still unread resets the connection; that is an end as any other, and
// the console tells of which.
type fromQEMU struct{ r io.Reader }

func (f fromQEMU) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if gone(err) {
		err = io.EOF
	}
	return n, err
}

// gone tells whether an error of a socket is that QEMU has closed its end.
func gone(err error) bool { return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) }
