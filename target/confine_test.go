// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/target/machine"
)

// deviceFile is what a device says of itself.
type deviceFile struct {
	fs.FileInfo
	mode fs.FileMode
}

func (d deviceFile) Mode() fs.FileMode { return d.mode }

func TestKVMOpenTo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kvm")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(file, 0, 104); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	own := uint32(104)
	if os.Geteuid() != 0 {
		own = uint32(os.Getgid())
	}
	for mode, want := range map[fs.FileMode]struct {
		group uint32
		all   bool
	}{0o600: {0, false}, 0o660: {own, false}, 0o666: {own, true}, 0o640: {0, false}, 0o664: {own, false}} {
		if group, all := kvmOpenTo(deviceFile{info, mode}); group != want.group || all != want.all {
			t.Errorf("mode %o: group %d, all %v", mode, group, all)
		}
	}
}

// TestConfinedStart: a QEMU that its user can't execute runs all the same, and why
// it is root's is said.
func TestConfinedStart(t *testing.T) {
	dir := t.TempDir() // root's alone, from its parent on
	path := filepath.Join(dir, "qemu")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nid -u\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p, why, err := startConfined(path, qemuMachine{kind: machine.Here(), accel: "tcg"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		t.Fatal("it doesn't end")
	}
	if root := os.Geteuid() == 0; root != strings.Contains(why, "QEMU runs as root: start "+path+": ") {
		t.Errorf("root: %v, %q", root, why)
	}
}
