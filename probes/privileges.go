// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Capabilities of a process. The kernel asks for CAP_BPF and CAP_PERFMON where a
// program for tracing is loaded, or for CAP_SYS_ADMIN in place of both (2c78ee898d8f).
// For what the others are see Missing.
var capabilityNames = map[uint]string{
	unix.CAP_BPF: "CAP_BPF", unix.CAP_PERFMON: "CAP_PERFMON", unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN",
	unix.CAP_SYSLOG: "CAP_SYSLOG", unix.CAP_SYS_RESOURCE: "CAP_SYS_RESOURCE", unix.CAP_DAC_OVERRIDE: "CAP_DAC_OVERRIDE",
}

// Missing names those of the capabilities that this thread doesn't have, with " and "
// between, empty: none is missing. For none given these are the two without which
// nothing attaches.
func Missing(capabilities ...uint) string {
	if len(capabilities) == 0 {
		capabilities = []uint{unix.CAP_BPF, unix.CAP_PERFMON}
	}
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return "" // the kernel will say so itself
	}
	return missingOf(uint64(data[1].Effective)<<32|uint64(data[0].Effective), capabilities)
}

func missingOf(effective uint64, capabilities []uint) string {
	var names []string
	for _, c := range capabilities {
		asAdmin := (c == unix.CAP_BPF || c == unix.CAP_PERFMON) && effective&(1<<unix.CAP_SYS_ADMIN) != 0
		if effective&(1<<c) == 0 && !asAdmin {
			names = append(names, capabilityNames[c])
		}
	}
	return strings.Join(names, " and ")
}

// privilegeError says which of the capabilities is missing without which no program is
// loaded.
type privilegeError struct{ missing string }

func (e *privilegeError) Error() string { return "missing " + e.missing }

func (e *privilegeError) Unwrap() error { return unix.EPERM }

// mayLoad tells whether this process may load programs for a function at all, and lifts
// the limit on BPF's memory: before 5.11 it counts against RLIMIT_MEMLOCK.
func mayLoad(function string) error {
	if missing := Missing(); missing != "" {
		return &UnsupportedError{Function: function, Err: &privilegeError{missing}}
	}
	err := rlimit.RemoveMemlock()
	var limit unix.Rlimit
	if err == nil || unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur == unix.RLIM_INFINITY {
		return nil
	}
	if missing := Missing(unix.CAP_SYS_RESOURCE); missing != "" {
		return &UnsupportedError{Function: function, Err: &memlockError{missing, limit.Cur}}
	}
	return &UnsupportedError{Function: function, Err: err}
}

// memlockError says that BPF's memory is limited.
type memlockError struct {
	missing string
	bytes   uint64
}

func (e *memlockError) Error() string {
	return fmt.Sprintf("RLIMIT_MEMLOCK allows %d KiB, and %s to raise it is missing", e.bytes>>10, e.missing)
}
