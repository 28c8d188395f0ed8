// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/engine"
)

// TestBadInput holds every mistake that needs no kernel to its one line, its
// exit code, and to leaving nothing behind.
func TestBadInput(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	t.Setenv("MAPPROF_CACHE", filepath.Join(work, "cache"))
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("notes.txt", "not a kernel at all")
	write("vmlinux", "\x7fELF"+strings.Repeat("\x00", 4096))
	write("package.deb", "not an archive")
	if err := os.Mkdir("taken", 0o755); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, args := range []string{
		"run --workload chrun",
		"run --strategy expedite",
		"run --strategy rcu,rcu",
		"run --strategy sync --inner array",
		"run --target moon",
		"run --target local --kernel 6.12",
		"run --outer map",
		"run --count many",
		"run --slots 2 --batch 3",
		"run --trials 0",
		"run --format xml",
		"run --memory lots",
		"run --ring-size 5000",
		"run --clock icount --cpus 2",
		"run --clock sundial",
		"run --accel warp",
		"run --timeout 0s",
		"run --duration 15m --timeout 10m",
		"run --count 1000 --rate 1 --timeout 10m",
		"run --target local --cpus 8",
		"run --target local --append preempt=full",
		"run --workload churn --workload chrun",
		"run --no-such-flag",
		"run surplus",
		"rnu",
		"doctor --format xml",
		"run --kernel notes.txt",
		"run --kernel vmlinux",
		"run --kernel ./package.deb",
		"run --kernel no/such/bzImage",
		"run --kernel 6.12 --offline",
		"run --kernel 6.12 --offline -o taken",
		"run --kernel 6.12 --offline -o notes.txt/run",
		"pprof",
		"pprof nowhere -top",
		"kernels fetch",
	} {
		code, stdout, stderr := mapprof(t, strings.Fields(args)...)
		if stdout != "" {
			t.Errorf("%s: printed on standard output: %s", args, stdout)
		}
		if code == exitOK {
			t.Errorf("%s: exit code 0", args)
		}
		fmt.Fprintf(&text, "$ mapprof %s\n%s[exit %d]\n\n", args, strings.ReplaceAll(stderr, work, "WORK"), code)
	}
	golden(t, "bad-input.golden", text.String())
	left, err := filepath.Glob(filepath.Join(work, "mapprof-runs", "*"))
	hidden, _ := filepath.Glob(filepath.Join(work, "*", ".*"))
	if err != nil || len(left) > 0 || len(hidden) > 0 {
		t.Errorf("left behind: %v %v", left, hidden)
	}
}

func TestNoQEMU(t *testing.T) {
	t.Chdir(t.TempDir())
	image := filepath.Join(t.TempDir(), "bzImage")
	if err := os.WriteFile(image, fakeBzImage("6.99.0-test"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	code, _, stderr := mapprof(t, "run", "--kernel", image, "--accel", "tcg")
	if code != exitFailure || !strings.Contains(stderr, "apt-get install qemu-system-x86") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// fakeBzImage is the least that passes for a kernel image; it doesn't boot.
func fakeBzImage(release string) []byte {
	b := make([]byte, 0x3000)
	b[0x1f1] = 4                    // setup_sects
	b[0x1fe], b[0x1ff] = 0x55, 0xaa // boot_flag
	copy(b[0x202:], "HdrS")
	b[0x206], b[0x207] = 0x0f, 0x02 // protocol version
	b[0x20e], b[0x20f] = 0x00, 0x02 // kernel_version - 0x200
	b[0x211] = 1                    // loadflags: LOADED_HIGH
	b[0x236] = 1                    // xloadflags: 64-bit
	copy(b[0x400:], release+" (somebody@somewhere) #1 SMP")
	return b
}

func TestByteSize(t *testing.T) {
	for in, want := range map[string]uint64{"4096": 4096, "1k": 1024, "512MiB": 512 << 20, "10G": 10 << 30, "10 gib": 10 << 30, "3b": 3} {
		var b byteSize
		if err := b.Set(in); err != nil || uint64(b) != want {
			t.Errorf("%q: %d, %v", in, b, err)
		}
		var again byteSize
		if err := again.Set(b.String()); err != nil || again != b {
			t.Errorf("%q does not round-trip: %s", in, &b)
		}
	}
	for _, in := range []string{"", "x", "-1", "1.5G", "99999999999999999999", "18446744073709551615k", "G"} {
		var b byteSize
		if err := b.Set(in); err == nil {
			t.Errorf("%q is %d", in, b)
		}
	}
}

func TestHelpNamesTheWorkloadsFlags(t *testing.T) {
	code, stdout, _ := mapprof(t, "run", "--workload", "churn", "--help")
	for _, want := range []string{"--outer", "--inner-entries", "--strategy", "--kernel", "--trials"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("help lacks %s", want)
		}
	}
	if code != exitOK {
		t.Errorf("exit %d", code)
	}
}

func TestTagSafe(t *testing.T) {
	if got := engine.TagSafe("churn/6.12 evil,\x00\x1b[31m\nré/rcu"); strings.ContainsAny(got, " ,\n\x00\x1b") {
		t.Errorf("%q", got)
	}
}
