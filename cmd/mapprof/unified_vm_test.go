// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/kernels"
)

// TestVMUnifiedImage: the kernel in a unified image, which is built of systemd's
// stub as distributions do it, is what boots.
func TestVMUnifiedImage(t *testing.T) {
	stub := filepath.Join(packageDir, "..", "..", "bin", "efi", "linuxx64.efi.stub") // where .ci/setup puts it
	if installed := "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"; fileExists(installed) {
		stub = installed
	}
	if !fileExists(stub) {
		t.Fatalf("there is no %s (make setup-test, or install systemd-boot-efi)", filepath.Base(stub))
	}
	k, err := kernels.Resolve(t.Context(), "6.12", kernels.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	image, text := filepath.Join(dir, "linux.efi"), filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("quiet root=/dev/none"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "objcopy",
		"--add-section", ".osrel="+text, "--change-section-vma", ".osrel=0x20000",
		"--add-section", ".cmdline="+text, "--change-section-vma", ".cmdline=0x30000",
		"--add-section", ".linux="+k.Path, "--change-section-vma", ".linux=0x2000000", stub, image).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("MAPPROF_CACHE", t.TempDir())
	run := runVM(t, "--offline", "--kernel", image, "--accel", "tcg", "--strategy", "rcu", "--count", "10")
	if got := run.Target.Kernel; got.Release != k.Release || got.Requested != image || run.Scenarios[0].Phases[results.PhaseLimbo].N != 10 {
		t.Errorf("%+v, limbo %+v", got, run.Scenarios[0].Phases[results.PhaseLimbo])
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
