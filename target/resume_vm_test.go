// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package target

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// snapshotsOf is the cache's, where kernels are no longer asked of it, and what there is.
func snapshotsOf(t *testing.T) (list func() []string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("MAPPROF_CACHE", dir)
	return func() []string {
		files, err := filepath.Glob(filepath.Join(dir, "snapshots", "*.state"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
}

// when is what the job of that name gave, with a file.
func when(t *testing.T, vm Machine, given, name string) (string, Outcome) {
	t.Helper()
	said := ""
	out, err := vm.Run(t.Context(), GuestJob{Args: []string{"guest", name}, Files: map[string][]byte{"/given/file": []byte(given)},
		Event: func(kind string, payload []byte) { said += kind + " " + string(payload) }})
	if err != nil || out.ExitCode != 0 {
		t.Fatalf("exit code %d %s, %v", out.ExitCode, out.Message, err)
	}
	noQEMU(t)
	return said, out
}

// TestVMSnapshot: on the deterministic clock all guests of one snapshot are at their job at
// the same instruction, the first as well. Boots are a microsecond apart at most: whether
// the kernel's tick had come while QEMU stopped the machine depends on the host.
func TestVMSnapshot(t *testing.T) {
	vm := testVM(t)
	vm.Clock = ClockICount
	list := snapshotsOf(t)
	want := ""
	for _, what := range []string{"saved", "restored", "restored again"} {
		got, out := when(t, vm, "given", "when")
		if want == "" {
			want = got
		}
		if got != want || len(out.Warnings) > 0 {
			t.Errorf("%s: %q, warnings %q; the first: %q", what, got, out.Warnings, want)
		}
		if n := len(list()); n != 1 {
			t.Fatalf("%s: %d snapshots", what, n)
		}
	}
	near := func(what, got string) {
		t.Helper()
		var pid, pidThere int
		var ns, nsThere int64
		_, err := fmt.Sscanf(want, "when given %d %d", &pid, &ns)
		_, errThere := fmt.Sscanf(got, "when given %d %d", &pidThere, &nsThere)
		if apart := max(ns-nsThere, nsThere-ns); err != nil || errThere != nil || pid != pidThere || apart > 1000 {
			t.Errorf("%s: %q, from the snapshot %q", what, got, want)
		}
	}
	vm.Boot = BootFresh
	got, _ := when(t, vm, "given", "when")
	near("a fresh boot", got)
	if n := len(list()); n != 1 {
		t.Errorf("a fresh boot has left a snapshot: there are %d", n)
	}
	vm.Boot = ""
	t.Log(want)
	if got, _ := when(t, vm, "other", "when"); !strings.HasPrefix(got, "when other ") {
		t.Errorf("another job with the same snapshot: %q", got)
	}
	if n := len(list()); n != 1 {
		t.Errorf("another job made another snapshot: %d", n)
	}

	// Half a snapshot is none.
	file := list()[0]
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, st.Size()/2); err != nil {
		t.Fatal(err)
	}
	got, out := when(t, vm, "given", "when")
	near("with half a snapshot", got)
	if !strings.Contains(strings.Join(out.Warnings, "\n"), "begin from a snapshot") {
		t.Errorf("half a snapshot: warnings %q", out.Warnings)
	}
	if again, err := os.Stat(file); err != nil || again.Size() <= st.Size()/2 {
		t.Errorf("half a snapshot is still there: %v", err)
	}

	// One with another byte in the guest's memory is none, which QEMU doesn't see.
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got, out = when(t, vm, "given", "when")
	near("with a changed snapshot", got)
	if !strings.Contains(strings.Join(out.Warnings, "\n"), "checksum") {
		t.Errorf("a changed snapshot: warnings %q", out.Warnings)
	}
}

// TestVMSnapshotByTheWall: the guest's clock goes on as the host's does, with two CPUs,
// and what the kernel printed at boot is still told.
func TestVMSnapshotByTheWall(t *testing.T) {
	vm := testVM(t)
	vm.Boot, vm.Accel, vm.Append = BootSnapshot, "tcg", []string{"loglevel=7"}
	list := snapshotsOf(t)
	console := filepath.Join(t.TempDir(), "console")
	vm.ConsoleLog = console
	for range 3 { // the clocks are held against each other
		if got, out := when(t, vm, "given", "when"); !strings.HasPrefix(got, "when given ") || len(out.Warnings) > 0 {
			t.Errorf("%q, warnings %q", got, out.Warnings)
		}
		b, err := os.ReadFile(console)
		if err != nil || !strings.Contains(string(b), "Freeing unused kernel") {
			t.Errorf("the console lacks the boot: %d bytes, %v", len(b), err)
		}
	}
	if n := len(list()); n != 1 {
		t.Errorf("%d snapshots", n)
	}
	begin := time.Now()
	said, _ := when(t, vm, "", "date") // of a machine that stood still since
	end, ns := time.Now(), int64(0)
	if _, err := fmt.Sscanf(said, "date %d", &ns); err != nil || ns < begin.UnixNano() || ns > end.UnixNano() {
		t.Errorf("%q, %v: the guest's date is %v, here it was %v to %v", said, err, time.Unix(0, ns), begin, end)
	}
}

// TestVMSnapshotImpossible: a kernel that lets nobody map a device is booted, and asked
// once.
func TestVMSnapshotImpossible(t *testing.T) {
	vm := testVM(t)
	vm.Boot, vm.Accel, vm.Append = BootSnapshot, "tcg", []string{"lockdown=integrity"}
	list := snapshotsOf(t)
	vm.ConsoleLog = filepath.Join(t.TempDir(), "console")
	for i := range 2 {
		if got, out := when(t, vm, "given", "when"); !strings.HasPrefix(got, "when given ") || len(out.Warnings) > 0 {
			t.Errorf("%q, warnings %q", got, out.Warnings)
		}
		if all := list(); len(all) != 1 {
			t.Fatalf("%d snapshots", len(all))
		} else if st, err := os.Stat(all[0]); err != nil || st.Size() != 0 {
			t.Errorf("the snapshot that can't be had: %v, %v", st.Size(), err)
		}
		const why = "the machine is not stopped for its job: no memory is shared with the host"
		if b, err := os.ReadFile(vm.ConsoleLog); err != nil || strings.Contains(string(b), why) != (i == 0) {
			t.Errorf("run %d: the console of %d bytes, %v, tells of it: %v", i, len(b), err, strings.Contains(string(b), why))
		}
	}
}
