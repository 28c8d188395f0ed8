// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/machine"
)

func TestQEMUArgs(t *testing.T) {
	base := qemuMachine{kernel: "/proc/self/fd/7", initrd: "/proc/self/fd/6", sandbox: true, knowsCPU8: true, cpus: 2, memory: 1 << 30,
		accel: "tcg", clock: ClockWall, console: 3, channel: 4, monitor: 5, window: "/proc/self/fd/8"}
	kinds := map[string]*machine.Machine{}
	for _, arch := range machine.Names() {
		kind, err := machine.Of(arch)
		if err != nil {
			t.Fatal(err)
		}
		kinds[arch] = kind
	}
	base.kind = kinds["amd64"]
	for name, change := range map[string]func(*qemuMachine){
		"arm64":        func(m *qemuMachine) { m.kind, m.tscKHz = kinds["arm64"], 1e6 },
		"arm64-icount": func(m *qemuMachine) { m.kind, m.clock, m.cpus = kinds["arm64"], ClockICount, 1 },
		"arm64-kvm":    func(m *qemuMachine) { m.kind, m.accel = kinds["arm64"], "kvm" },
		"wall":         func(*qemuMachine) {},
		"icount":       func(m *qemuMachine) { m.clock, m.cpus = ClockICount, 1 },
		"pause":        func(m *qemuMachine) { m.clock, m.cpus, m.pause = ClockICount, 1, true },
		"incoming":     func(m *qemuMachine) { m.clock, m.cpus, m.pause, m.incoming = ClockICount, 1, true, true },
		"kvm":          func(m *qemuMachine) { m.accel, m.append = "kvm", []string{"rcu_nocbs=all", "nosmp"} },
		"port":         func(m *qemuMachine) { m.window, m.sandbox, m.knowsCPU8 = "", false, false }, // a QEMU that lacks all three
	} {
		m := base
		change(&m)
		var b strings.Builder
		for _, a := range m.args() {
			if strings.HasPrefix(a, "-") && b.Len() > 0 {
				b.WriteByte('\n')
			} else if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(a)
		}
		golden.Check(t, "testdata/qemu-"+name+".golden", b.String()+"\n")
	}
}

func TestVMConfiguration(t *testing.T) {
	k := kernels.Kernel{Path: "/k"}
	for _, tc := range []struct {
		vm   Machine
		want string
	}{
		{Machine{}, "no kernel"},
		{Machine{Kernel: k, Clock: "sundial"}, `--clock "sundial" is not one of wall, icount`},
		{Machine{Kernel: k, Accel: "xen"}, `--accel "xen" is not one of kvm, tcg`},
		{Machine{Kernel: k, Clock: ClockICount, Accel: "kvm"}, "--clock icount needs one CPU and TCG"},
		{Machine{Kernel: k, Clock: ClockICount, CPUs: 2}, "--clock icount needs one CPU and TCG"},
		{Machine{Kernel: kernels.Kernel{Path: "/k", Arch: "riscv64"}, Accel: "kvm"}, "--accel kvm is for kernels of this machine's architecture"},
		{Machine{Kernel: k, Boot: "warm"}, `--boot "warm" is not one of fresh, snapshot`},
		{Machine{Kernel: k, Boot: BootSnapshot, Accel: "kvm"}, "--boot snapshot is for TCG"},
		{Machine{Kernel: k, CPUs: -1}, "--cpus must be from 1 to 255"},
		{Machine{Kernel: k, CPUs: 256}, "--cpus must be from 1 to 255"},
		{Machine{Kernel: k, MemoryBytes: 1 << 20}, "--memory 1MiB is too little"},
		{Machine{Kernel: k, Append: []string{"a\nb"}}, "command line"},
		{Machine{Kernel: k, Timeout: -1}, "--timeout must be more than 0"},
	} {
		if _, err := tc.vm.Run(context.Background(), GuestJob{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
	vm := Machine{Kernel: k, Clock: ClockICount}.WithDefaults()
	if err := vm.Check(); err != nil || vm.CPUs != 1 || vm.MemoryBytes != DefaultMemory {
		t.Errorf("defaults: %+v, %v", vm, vm.Check())
	}
}

func TestHostRefusals(t *testing.T) {
	t.Run("no qemu", func(t *testing.T) {
		t.Setenv("MAPPROF_QEMU", "")
		t.Setenv("PATH", t.TempDir())
		_, err := Machine{Kernel: kernels.Kernel{Path: "/k"}}.Run(context.Background(), GuestJob{})
		var q *QEMUMissingError
		if !errors.As(err, &q) || !strings.Contains(err.Error(), machine.Here().Package) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := (Machine{Kernel: kernels.Kernel{Path: "/k"}}).Run(ctx, GuestJob{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("memory", func(t *testing.T) {
		var m *MemoryError
		if err := CheckHostMemory(1 << 50); !errors.As(err, &m) || !strings.Contains(err.Error(), "--memory") {
			t.Errorf("got %v", err)
		}
		if n, ok := memAvailable([]byte("MemTotal: 9 kB\nMemAvailable:   123 kB\n")); !ok || n != 123<<10 {
			t.Errorf("got %d, %v", n, ok)
		}
		if _, ok := memAvailable([]byte("MemAvailable: x kB\n")); ok {
			t.Error("accepted")
		}
	})
	t.Run("not qemu", func(t *testing.T) {
		p := filepath.Join(t.TempDir(), "qemu")
		if err := os.WriteFile(p, []byte("#!/bin/sh\necho hi\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := askQEMU(context.Background(), p); err == nil || !strings.Contains(err.Error(), "no answer of QEMU") {
			t.Errorf("got %v", err)
		}
	})
}

// TestUnfilteredQEMU: a QEMU without the filter, or on a host that refuses it, is
// used without, and what it said is known.
func TestUnfilteredQEMU(t *testing.T) {
	for _, tc := range []struct{ filtered, want string }{
		{"", ""},
		{"echo 'qemu: -sandbox support is not enabled in this QEMU binary' >&2; exit 1", "qemu: -sandbox support is not enabled in this QEMU binary"},
		{"kill -SYS $$", "signal: bad system call"},
	} {
		p := filepath.Join(t.TempDir(), "qemu")
		script := "#!/bin/sh\ncase \"$1\" in\n--version) echo 'QEMU emulator version 9.9.9 (test)'; exit 0;;\n" +
			"-sandbox) true; " + tc.filtered + ";;\nesac\necho 'name \"ivshmem-plain\", bus PCI'\n"
		if err := os.WriteFile(p, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		b, err := askQEMU(context.Background(), p)
		if err != nil || b.version != "9.9.9 (test)" || !b.window || !strings.HasPrefix(b.unfiltered, tc.want) || (tc.want == "") != (b.unfiltered == "") {
			t.Errorf("%q: %+v, %v", tc.filtered, b, err)
		}
	}
}

// TestQEMUVersion: CPU features that QEMU has from 8.0 on are not asked of an older one,
// which would refuse to start.
func TestQEMUVersion(t *testing.T) {
	for version, eight := range map[string]bool{
		"7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)": false, "8.0.0": true, "10.0.2 (v10.0.2-1-gabc)": true, "x": false,
	} {
		p := filepath.Join(t.TempDir(), "qemu")
		if err := os.WriteFile(p, []byte("#!/bin/sh\necho 'QEMU emulator version "+version+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if b, err := askQEMU(context.Background(), p); err != nil || b.eight != eight {
			t.Errorf("%s: %+v, %v", version, b, err)
		}
	}
}

// A QEMU that ends at once is reported with what it said.
func TestQEMUFails(t *testing.T) {
	p := filepath.Join(t.TempDir(), "qemu")
	script := `#!/bin/sh
case "$1" in
--version) echo "QEMU emulator version 9.9.9 (test)"; exit 0;;
-device) exit 0;;
esac
echo "qemu: could not load kernel '/k'" >&2
exit 1
`
	if err := os.WriteFile(p, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MAPPROF_QEMU", p)
	s := &session{vm: Machine{Kernel: kernels.Kernel{Requested: "/k"}, Timeout: time.Minute, BootTimeout: time.Minute}, out: &Outcome{}, console: newConsole(100)}
	pr, err := startProcess(p, []string{"-x"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pr.kill()
	var ours, theirs [3]*os.File
	for i := range ours {
		if ours[i], theirs[i], err = socketPair("test"); err != nil {
			t.Fatal(err)
		}
		theirs[i].Close()
		defer ours[i].Close()
	}
	err = s.follow(context.Background(), pr, ours[0], ours[1], ours[2])
	var g *GuestError
	if !errors.As(err, &g) || g.Reason != GuestQEMUFailed || !strings.Contains(err.Error(), "could not load kernel '/k'") {
		t.Errorf("got %v", err)
	}
}

func TestKVMVerdict(t *testing.T) {
	t.Setenv("MAPPROF_CACHE", t.TempDir())
	now := time.Now()
	if v := readKVMVerdicts(); len(v) != 0 {
		t.Fatal("a verdict before there was one")
	}
	for range maxKVMVerdicts {
		keepKVMVerdict(kvmVerdict{BootID: "old", QEMU: "q", Refusal: "no", Found: now})
	}
	keepKVMVerdict(kvmVerdict{BootID: "b", QEMU: "q", Kernel: "panics", Refusal: "not on this", Found: now})
	keepKVMVerdict(kvmVerdict{BootID: "any", QEMU: "q", Refusal: "no", Found: now})
	kept := readKVMVerdicts()
	if len(kept) != maxKVMVerdicts {
		t.Fatalf("%d kept", len(kept))
	}
	for _, tc := range []struct {
		name string
		now  kvmVerdict
		want bool
	}{
		{"same", kvmVerdict{BootID: "b", QEMU: "q", Kernel: "panics", Found: now.Add(time.Hour)}, true},
		{"another kernel", kvmVerdict{BootID: "b", QEMU: "q", Kernel: "mended", Found: now}, false},
		{"QEMU's own fault", kvmVerdict{BootID: "any", QEMU: "q", Kernel: "mended", Found: now}, true},
		{"rebooted", kvmVerdict{BootID: "c", QEMU: "q", Kernel: "panics", Found: now}, false},
		{"other QEMU", kvmVerdict{BootID: "b", QEMU: "r", Kernel: "panics", Found: now}, false},
		{"a day later", kvmVerdict{BootID: "b", QEMU: "q", Kernel: "panics", Found: now.Add(25 * time.Hour)}, false},
		{"clock set back", kvmVerdict{BootID: "b", QEMU: "q", Kernel: "panics", Found: now.Add(-time.Hour)}, false},
	} {
		holds := slices.ContainsFunc(kept, func(v kvmVerdict) bool { return v.holds(tc.now) })
		if holds != tc.want {
			t.Errorf("%s: %v", tc.name, holds)
		}
	}
}

func TestScratch(t *testing.T) {
	t.Setenv("MAPPROF_CACHE", t.TempDir())
	a, err := NewScratch()
	if err != nil {
		t.Fatal(err)
	}
	// As a killed process leaves it: a directory whose lock nobody holds.
	dead := filepath.Join(filepath.Dir(a.Dir), "run-dead")
	if err := os.MkdirAll(filepath.Join(dead, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := NewScratch()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead one is still there: %v", err)
	}
	if _, err := os.Stat(a.Dir); err != nil {
		t.Errorf("the live one is gone: %v", err)
	}
	if a.Close() != nil || b.Close() != nil {
		t.Error("close failed")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(a.Dir), "run-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
