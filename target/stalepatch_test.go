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
		{"one CPU", qemuMachine{accel: "tcg", cpus: 1}, panicked(int3), false},
		{"KVM", qemuMachine{accel: "kvm", cpus: 2}, panicked(int3), false},
		{"another oops", two, panicked("[ 1.6] Kernel panic - not syncing: Fatal exception: Oops: 0000 [#1]"), false},
		{"hung", two, &GuestError{Reason: GuestHung, Detail: int3}, false},
		{"no guest", two, errors.New(int3), false},
		{"none", two, nil, false},
	} {
		if got := tt.m.stalePatch(tt.err); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if got := staleWarning(1, panicked(int3)); !strings.Contains(got, "after boot 1: ") || !strings.Contains(got, int3) {
		t.Errorf("%q", got)
	}
	// A console as it was seen leads there.
	reason, line := diagnose([]byte("[    1.685101] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI\r\n[    1.685202] RIP: 0010:sched_clock_idle_wakeup_event+0x5/0x40\r\n" +
		"[    1.685465] Kernel panic - not syncing: Fatal exception in interrupt\r\n"))
	if !two.stalePatch(&GuestError{Reason: reason, Detail: line}) {
		t.Errorf("%s: %s", reason, line)
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
