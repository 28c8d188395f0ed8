// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/mapprof/mapprof/target/guest"
	"github.com/mapprof/mapprof/target/rootfs"
	"github.com/mapprof/mapprof/target/wire"
)

func TestParcelOfAJob(t *testing.T) {
	job := GuestJob{Args: []string{"guest", "trial"}, Files: map[string][]byte{"/b": []byte("two"), "/a/c": nil}}
	first, err := job.parcel(false)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	r := tar.NewReader(bytes.NewReader(first))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files["/"+h.Name] = string(b)
	}
	if len(files) != 3 || files["/b"] != "two" || files[guest.ArgvFile] != `["guest","trial"]` {
		t.Errorf("packed: %q", files)
	}
	if _, there := job.Files[guest.ArgvFile]; there {
		t.Error("the job has a file more than before")
	}
	if again, err := job.parcel(false); err != nil || !bytes.Equal(first, again) {
		t.Errorf("one job, two parcels: the guest would do other instructions (%v)", err)
	}
	if dated, err := job.parcel(true); err != nil || len(dated) <= len(first) {
		t.Errorf("with the time: %d bytes, %d without, %v", len(dated), len(first), err)
	}
	job.Files["/large"] = make([]byte, wire.MaxParcel)
	if b, err := job.parcel(false); b != nil || err != nil {
		t.Errorf("%d bytes of what doesn't fit, %v", len(b), err)
	}
}

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
