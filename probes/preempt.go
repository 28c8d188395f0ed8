// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mayPreempt tells whether this kernel may preempt a task inside a BPF program, as far
// as can be known: a kernel that is built for it says so in its version
// (init/version.c, UTS_VERSION), and one that decides when it boots (PREEMPT_DYNAMIC)
// has the decision in debugfs. Who changes it later has calls missed that are counted, as
// recursion misses.
func mayPreempt() bool {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return true
	}
	mode, _ := os.ReadFile("/sys/kernel/debug/sched/preempt")
	return preempts(unix.ByteSliceToString(uts.Version[:]), string(mode))
}

// preempts is mayPreempt by a kernel's version and the content of debugfs' file, which
// has the mode in parentheses; empty: it can't be read.
func preempts(version, modes string) bool {
	if !strings.Contains(version, "PREEMPT") {
		return false
	}
	if !strings.Contains(version, "PREEMPT_DYNAMIC") {
		return true
	}
	return !strings.Contains(modes, "(none)") && !strings.Contains(modes, "(voluntary)")
}
