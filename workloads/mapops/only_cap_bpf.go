// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnlyCapBPF runs f on this thread, with CAP_BPF and no other capability in effect. What
// f creates the kernel takes for untrusted: without CAP_PERFMON, which CAP_SYS_ADMIN
// includes, it guards against speculation (bpf_bypass_spec_v1()).
func OnlyCapBPF(f func() error) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	runtime.LockOSThread()
	if err := unix.Capget(&header, &before[0]); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("read this thread's capabilities: %w", err)
	}
	only := before
	only[0].Effective, only[1].Effective = 0, 1<<(unix.CAP_BPF-32)
	if err := unix.Capset(&header, &only[0]); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("keep CAP_BPF alone: %w (is it among this process's capabilities?)", err)
	}
	err := f()
	if back := unix.Capset(&header, &before[0]); back != nil {
		// The thread stays locked, and ends with its goroutine.
		return errors.Join(err, fmt.Errorf("take this thread's capabilities back: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}
