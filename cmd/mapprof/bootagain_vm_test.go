// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMBootsAgain: after the int3 that QEMU's TCG runs into now and then, a
// kernel is booted again, and that is said. Here the first machine is a script
// that writes what such a kernel writes.
func TestVMBootsAgain(t *testing.T) {
	real, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	const console = `[    1.106101] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI
[    1.106202] RIP: 0010:enqueue_timer+0xa9/0x100
[    1.106255] Kernel panic - not syncing: Fatal exception in interrupt
`
	const want = "booted again after boot 1: "
	// firstDies makes the first machine after it the script.
	firstDies := func(t *testing.T) {
		t.Helper()
		dir := t.TempDir()
		script := fmt.Sprintf("#!/bin/sh\ncase \"$1\" in --version|-device|-sandbox) exec %[1]s \"$@\";; esac\n"+
			"if mkdir %[2]s/booted 2>/dev/null; then cat %[2]s/console >&3; exit 0; fi\nexec %[1]s \"$@\"\n", real, dir)
		for file, text := range map[string]string{"qemu": script, "console": console} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("MAPPROF_QEMU", filepath.Join(dir, "qemu"))
	}
	t.Run("doctor", func(t *testing.T) {
		firstDies(t)
		code, stdout, stderr := mapprof(t, "doctor", "--kernel", "6.12", "--accel", "tcg")
		if code != exitOK || !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
			t.Errorf("exit %d\n%s%s", code, stdout, stderr)
		}
	})
	t.Run("run", func(t *testing.T) {
		firstDies(t)
		run := runVM(t, "--kernel", "6.12", "--strategy", "rcu", "--count", "5", "--accel", "tcg")
		// The real machine may run into a real one afterwards: each counts.
		w := strings.Join(run.Scenarios[0].Trials[0].Warnings, "\n")
		again := strings.Count(w, "booted again after boot ")
		if !strings.Contains(w, want) || run.Scenarios[0].Phases[results.PhaseLimbo].N != 5 || again == 0 ||
			run.Scenarios[0].Trials[0].Reboots != again {
			t.Errorf("warnings %q, %+v", w, run.Scenarios[0].Phases)
		}
	})
}
