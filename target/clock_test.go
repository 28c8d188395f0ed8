// SPDX-License-Identifier: Apache-2.0

//go:build linux && amd64

package target

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/target/machine"
)

func TestClockFault(t *testing.T) {
	for _, tt := range []struct {
		guest, host time.Duration
		wrong       bool
	}{
		{0, 0, false},
		{time.Second, 3 * time.Second, false}, // the message waited
		{60 * time.Second, 61 * time.Second, false},
		{300 * time.Second, 315 * time.Second, false},
		{4 * time.Second, time.Second, true},
		{time.Second, 4 * time.Second, true},
		{84 * time.Second, 20 * time.Second, true},
		{-time.Hour, time.Second, true}, // a guest may say anything
	} {
		if got := clockFault(tt.guest, tt.host); (got != "") != tt.wrong {
			t.Errorf("%s by the guest, %s by the host: %q", tt.guest, tt.host, got)
		}
	}
}

// The counter's frequency, measured in ten times the time.
func TestTSCFrequency(t *testing.T) {
	khz := tscKHz()
	if khz == 0 {
		t.Fatal("unknown")
	}
	t0, c0 := readTSC()
	time.Sleep(100 * time.Millisecond)
	t1, c1 := readTSC()
	again := float64(c1-c0) / float64(t1-t0) * 1e6
	if r := float64(khz) / again; r < 0.999 || r > 1.001 {
		t.Errorf("%d kHz, and %.0f kHz", khz, again)
	}
	if p := (qemuMachine{kind: machine.Here(), accel: "tcg", clock: ClockWall, tscKHz: khz}).cmdline(); !strings.Contains(p, fmt.Sprintf(" tsc_early_khz=%d", khz)) {
		t.Errorf("the guest is not told: %s", p)
	}
	m := qemuMachine{kind: machine.Here(), accel: "kvm", clock: ClockWall, tscKHz: khz}
	if p := m.cmdline(); strings.Contains(p, "tsc_early_khz") {
		t.Errorf("%+v is told a frequency that it doesn't have: %s", m, p)
	}
	m.accel, m.clock = "tcg", ClockICount
	if p := m.cmdline(); !strings.Contains(p, " tsc_early_khz=1000000") {
		t.Errorf("%+v counts an instruction a nanosecond, and is not told so: %s", m, p)
	}
}
