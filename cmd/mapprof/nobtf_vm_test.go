// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/target"
)

const noBTFGuest = "guest-no-btf"

func init() {
	// What a kernel without BTF looks like from user space: no file to read
	// it from.
	guestMains[noBTFGuest] = func(args []string) error {
		if err := unix.Mount("none", "/sys/kernel/btf", "tmpfs", 0, ""); err != nil {
			return err
		}
		return runGuest(context.Background(), args[0])
	}
}

// TestVMNoBTF: one line that says what is missing.
func TestVMNoBTF(t *testing.T) {
	kernel, err := target.ResolveKernel(t.Context(), "6.12", target.KernelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(job{Scenario: "s", Workload: "churn", Strategy: "rcu", Args: []string{"--count=5"}, DrainTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	out, err := target.VM{Kernel: kernel, Timeout: 3 * time.Minute}.Run(t.Context(), target.Job{
		Args: []string{noBTFGuest, guestJobPath}, Files: map[string][]byte{guestJobPath: data}, OutDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(t.TempDir()); len(left) > 0 {
		t.Errorf("sent %v", left)
	}
	golden(t, "no-btf.golden", fmt.Sprintf("exit %d\n%s\n", out.ExitCode, regexp.MustCompile(`6\.12\.[^ ,:]+`).ReplaceAllString(out.Message, "6.12.X")))
}
