// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestQEMUGone: whoever closes a socket without having read all resets it. What
// it sent before is read, then comes the end.
func TestQEMUGone(t *testing.T) {
	closed := func() *os.File {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, qemu := os.NewFile(uintptr(fds[0]), "channel"), os.NewFile(uintptr(fds[1]), "qemu")
		t.Cleanup(func() { ours.Close() })
		_, err1 := ours.WriteString("never read")
		_, err2 := qemu.WriteString("last words")
		if err := errors.Join(err1, err2, qemu.Close()); err != nil {
			t.Fatal(err)
		}
		return ours
	}
	if _, err := io.ReadAll(closed()); !gone(err) {
		t.Errorf("the socket wasn't reset: %v", err)
	}
	if text, err := io.ReadAll(fromQEMU{closed()}); string(text) != "last words" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if _, err := closed().WriteString("too late"); !gone(err) {
		t.Errorf("a write gave %v", err)
	}
}
