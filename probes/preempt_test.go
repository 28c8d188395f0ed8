// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import "testing"

func TestPreempts(t *testing.T) {
	for _, tt := range []struct {
		version, modes string
		want           bool
	}{
		{"#1 SMP Debian 5.10.262-1 (2026-10-01)", "", false},
		{"#1 SMP PREEMPT Debian", "", true},
		{"#1 SMP PREEMPT_RT Debian", "", true},
		{"#1 SMP PREEMPT_LAZY Debian", "none voluntary", true},
		{"#1 SMP PREEMPT_DYNAMIC Debian 6.12.118-1", "none (voluntary) full \n", false},
		{"#1 SMP PREEMPT_DYNAMIC Debian 6.12.118-1", "(none) voluntary full \n", false},
		{"#1 SMP PREEMPT_DYNAMIC Debian 6.12.118-1", "none voluntary (full) \n", true},
		{"#1 SMP PREEMPT_DYNAMIC Debian 7.2.12-1", "full (lazy) \n", true},
		{"#1 SMP PREEMPT_DYNAMIC Debian 6.12.118-1", "", true}, // nobody says
	} {
		if got := preempts(tt.version, tt.modes); got != tt.want {
			t.Errorf("%s, %q: %v", tt.version, tt.modes, got)
		}
	}
}
