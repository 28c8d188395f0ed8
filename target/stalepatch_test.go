// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestStalePatch: only what can be the emulator's fault is tried again.
func TestStalePatch(t *testing.T) {
	panicked := func(detail string) error {
		return fmt.Errorf("run: %w", &GuestError{Kernel: "6.12", Reason: GuestPanicked, Detail: detail})
	}
	const int3 = "[ 1.6] Kernel panic - not syncing: Fatal exception in interrupt: Oops: int3: 0000 [#1], in enqueue_timer+0xa9/0x100"
	two := qemuMachine{accel: "tcg", cpus: 2}
	for _, tt := range []struct {
		name string
		m    qemuMachine
		err  error
		want bool
	}{
		{"int3", two, panicked(int3), true},
		{"int3 that is gone", two, panicked(int3 + ", " + int3Gone), true},
		{"int3 of the kernel's own", two, panicked(int3 + ", " + int3There), false},
		{"one CPU", qemuMachine{accel: "tcg", cpus: 1}, panicked(int3), false},
		{"KVM", qemuMachine{accel: "kvm", cpus: 2}, panicked(int3), false},
		{"another oops", two, panicked("[ 1.6] Kernel panic - not syncing: Fatal exception: Oops: 0000 [#1]"), false},
		{"hung", two, &GuestError{Reason: GuestHung, Detail: int3}, false},
		{"silent", two, &GuestError{Reason: GuestNoUserSpace, silent: true}, true},
		{"silent, its console says why", two, &GuestError{Reason: GuestPanicked, silent: true}, false},
		{"silent on KVM", qemuMachine{accel: "kvm", cpus: 2}, &GuestError{Reason: GuestNoUserSpace, silent: true}, false},
		{"off before user space", two, &GuestError{Reason: GuestNoUserSpace}, false},
		{"no guest", two, errors.New(int3), false},
		{"none", two, nil, false},
	} {
		if got := tt.m.mayBootAgain(tt.err, 0); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		// A second one in a run is QEMU's only if the kernel had patched it away.
		if got, want := tt.m.mayBootAgain(tt.err, 1), tt.name == "int3 that is gone"; got != want {
			t.Errorf("%s, the second: %v", tt.name, got)
		}
	}
	if got := againWarning(1, panicked(int3)); !strings.Contains(got, "after boot 1: ") || !strings.Contains(got, int3) {
		t.Errorf("%q", got)
	}
	// A console as it was seen leads there; what stands at its address now decides.
	const seen = "[    1.685101] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI\r\n[    1.685202] RIP: 0010:sched_clock_idle_wakeup_event+0x5/0x40\r\n"
	const end = "[    1.685465] Kernel panic - not syncing: Fatal exception in interrupt\r\n"
	for _, tt := range []struct {
		code          string
		first, second bool
	}{
		{"", true, false},
		{"[    1.685210] Code: 90 90 f3 0f 1e fa 66 <90> 53 48 89 fb\r\n", true, true},
		{"[    1.685210] Code: 90 90 f3 0f 1e fa cc <90> 53 48 89 fb\r\n", false, false},
		{"[    1.685210] Code: Unable to access opcode bytes at 0xffffffff81000000.\r\n", true, false},
	} {
		reason, line := diagnose([]byte(seen + tt.code + end))
		err := &GuestError{Reason: reason, Detail: line}
		if first, second := two.mayBootAgain(err, 0), two.mayBootAgain(err, 1); first != tt.first || second != tt.second {
			t.Errorf("%q: %v, %v after %s", tt.code, first, second, line)
		}
	}
	// Another oops has a line of code too.
	_, line := diagnose([]byte("[ 2.0] Oops: 0000 [#1] SMP\r\n[ 2.0] RIP: 0010:f+0x1/0x2\r\n[ 2.0] Code: 66 <90> 53\r\n[ 2.1] Kernel panic - not syncing: Fatal exception\r\n"))
	if strings.Contains(line, "int3") {
		t.Errorf("%q", line)
	}
}

func TestCanBeginAgain(t *testing.T) {
	stop := make(chan struct{})
	j := &GuestJob{Stop: stop}
	if !j.canBeginAgain(Outcome{}) || !(&GuestJob{}).canBeginAgain(Outcome{}) {
		t.Error("nothing is in the way")
	}
	if j.canBeginAgain(Outcome{Files: []string{"run.json"}}) {
		t.Error("over what it has stored")
	}
	close(stop)
	if j.canBeginAgain(Outcome{}) {
		t.Error("after it was told to end")
	}
}
