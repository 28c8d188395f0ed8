// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// A kernel patches itself (jump labels, trampolines) with an int3 in place
// meanwhile. Under TCG with several CPUs one of them may still run into that int3
// when the kernel has done with it: linux-kernel, "qemu-x86_64 booting with 8.0.0
// still see int3", 2023; bugzilla.redhat.com 2216496. QEMU 8.1 mends most of it
// (deba78709ae8, "accel/tcg: Always lock pages before translation"). With 10.0 it is still
// met where a page is translated from for the first time while another CPU patches it,
// which is likelier in a machine from a snapshot: nothing is translated there yet. Such a
// guest is booted again, and that is counted: a kernel that patches itself wrongly looks
// much the same. Kernels before 6.2 don't panic: their kprobe_int3_handler goes back to the
// int3 for ever, and the guest hangs (8e791f7eba4c took that out).

// maxBoots bounds how often a guest is booted for one job.
const maxBoots = 3

// What an oops of an int3 says of the byte at its address.
const (
	int3Gone  = "an int3 that was patched away"
	int3There = "an int3 that is still there"
)

// mayBootAgain tells whether a guest died of an int3 that may be QEMU's own. One
// that still stands in the kernel's text is the kernel's. Where the console
// doesn't tell, one in a run may be, and no second. Nor is there a second for a
// guest that stood still before its user space, which is seen once in some
// hundreds of boots.
func (m qemuMachine) mayBootAgain(err error, reboots int) bool {
	var guest *GuestError
	if m.accel != "tcg" || m.cpus < 2 || !errors.As(err, &guest) {
		return false
	}
	if guest.Reason == GuestNoUserSpace && guest.silent {
		return reboots == 0
	}
	if guest.Reason != GuestPanicked || !strings.Contains(guest.Detail, "int3: 0000 [#1]") {
		return false
	}
	gone, there := strings.Contains(guest.Detail, int3Gone), strings.Contains(guest.Detail, int3There)
	return gone || !there && reboots == 0
}

// int3At reads the line of code bytes that follows an oops: the one in angle
// brackets comes after the int3. It returns int3Gone, int3There, or nothing where
// there is no such line.
func int3At(oops []byte) string {
	_, code, ok := bytes.Cut(oops, []byte("Code: "))
	if !ok {
		return ""
	}
	code, _, _ = bytes.Cut(code, []byte("\n"))
	before, _, ok := bytes.Cut(code, []byte("<"))
	fields := bytes.Fields(before)
	if !ok || len(fields) == 0 {
		return ""
	}
	if string(fields[len(fields)-1]) == "cc" {
		return int3There
	}
	return int3Gone
}

// againWarning says why a guest was booted again.
func againWarning(boots int, err error) string {
	var guest *GuestError
	errors.As(err, &guest)
	why := "an int3 that the kernel had patched away, which TCG with several CPUs may still run into"
	if guest.silent {
		why = "it stood still before its user space"
	}
	return fmt.Sprintf("booted again after boot %d: %s (%s)", boots, why, guest.Detail)
}
