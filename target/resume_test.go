// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"testing"

	"github.com/mapprof/mapprof/target/rootfs"
)

func TestWhatPauses(t *testing.T) {
	type settings struct{ boot, env, clock, accel string }
	for want, all := range map[[2]bool][]settings{
		{false, true}:  {{"", "", ClockWall, "tcg"}},
		{false, false}: {{BootSnapshot, "", ClockWall, "kvm"}, {BootFresh, "", ClockWall, "tcg"}, {"", BootFresh, ClockWall, "tcg"}},
		{true, true}:   {{"", "", ClockICount, "tcg"}, {BootSnapshot, "", ClockWall, "tcg"}, {"", BootSnapshot, ClockWall, "tcg"}},
		{true, false}:  {{BootFresh, BootSnapshot, ClockICount, "tcg"}, {"", BootFresh, ClockICount, "tcg"}},
	} {
		for _, s := range all {
			t.Setenv(bootVariable, s.env)
			vm := Machine{Boot: s.boot, Clock: s.clock}
			if pause, keeps := vm.pauses(s.accel); pause != want[0] || keeps != want[1] {
				t.Errorf("%+v: pauses %v, keeps %v; want %v", s, pause, keeps, want)
			}
		}
	}
	t.Setenv(bootVariable, BootSnapshot)
	for _, vm := range []Machine{{Root: &rootfs.Tree{}}, {Successor: true}} {
		if pause, _ := vm.pauses("tcg"); pause {
			t.Error("a machine whose init is not mapprof's alone pauses")
		}
	}
}
