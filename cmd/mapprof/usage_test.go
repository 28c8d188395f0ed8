// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/internal/flagvalue"
)

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

// fakeARM64Image is that for arm64.
func fakeARM64Image(release string) []byte {
	b := make([]byte, 0x3000)
	copy(b[0x38:], "ARM\x64")
	copy(b[0x1000:], "Linux version "+release+" (somebody@somewhere) #1 SMP")
	return b
}

func TestByteSize(t *testing.T) {
	for in, want := range map[string]uint64{"4096": 4096, "1k": 1024, "512MiB": 512 << 20, "10G": 10 << 30, "10 gib": 10 << 30, "3b": 3} {
		var b flagvalue.Size
		if err := b.Set(in); err != nil || uint64(b) != want {
			t.Errorf("%q: %d, %v", in, b, err)
		}
		var again flagvalue.Size
		if err := again.Set(b.String()); err != nil || again != b {
			t.Errorf("%q does not round-trip: %s", in, &b)
		}
	}
	for _, in := range []string{"", "x", "-1", "1.5G", "99999999999999999999", "18446744073709551615k", "G"} {
		var b flagvalue.Size
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
