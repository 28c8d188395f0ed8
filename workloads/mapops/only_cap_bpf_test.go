// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOnlyCapBPF: within, no other capability is in effect; afterwards all are as before.
// Who may not have CAP_BPF is refused, and nothing runs.
func TestOnlyCapBPF(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	caps := func() (effective, permitted uint64) {
		var data [2]unix.CapUserData
		if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
			t.Fatal(err)
		}
		return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted)
	}
	const only = uint64(1) << unix.CAP_BPF
	before, permitted := caps()
	ran, failed := false, errors.New("failed")
	err := OnlyCapBPF(func() error {
		ran = true
		if within, _ := caps(); within != only {
			t.Errorf("capabilities %x, want %x", within, only)
		}
		return failed
	})
	if may := permitted&only != 0; ran != may || errors.Is(err, failed) != may || err == nil {
		t.Errorf("permitted %x: ran %v, %v", permitted, ran, err)
	}
	if after, _ := caps(); after != before {
		t.Errorf("capabilities %x, and %x before", after, before)
	}
}
