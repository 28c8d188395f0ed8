// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestMissing(t *testing.T) {
	const bpf, perfmon, admin = 1 << unix.CAP_BPF, 1 << unix.CAP_PERFMON, 1 << unix.CAP_SYS_ADMIN
	for _, tt := range []struct {
		effective uint64
		want      []uint
		missing   string
	}{
		{0, []uint{unix.CAP_BPF, unix.CAP_PERFMON}, "CAP_BPF and CAP_PERFMON"},
		{bpf, []uint{unix.CAP_BPF, unix.CAP_PERFMON}, "CAP_PERFMON"},
		{perfmon, []uint{unix.CAP_BPF, unix.CAP_PERFMON}, "CAP_BPF"},
		{bpf | perfmon, []uint{unix.CAP_BPF, unix.CAP_PERFMON}, ""},
		{admin, []uint{unix.CAP_BPF, unix.CAP_PERFMON}, ""}, // it stands for both
		{admin, []uint{unix.CAP_SYSLOG}, "CAP_SYSLOG"},      // and for no other
		{bpf | perfmon, []uint{unix.CAP_SYS_ADMIN}, "CAP_SYS_ADMIN"},
	} {
		if got := missingOf(tt.effective, tt.want); got != tt.missing {
			t.Errorf("of %x %v: %q, want %q", tt.effective, tt.want, got, tt.missing)
		}
	}
}
