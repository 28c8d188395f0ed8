// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int{
		"0": 1, "0-1": 2, "0-3,8": 5, "0,2-3,5-7": 6, "0-65535": 65536,
		"": 0, "x": 0, "3-1": 0, "0-": 0, "0-99999999999": 0,
	} {
		if got := countCPUs(list); got != want {
			t.Errorf("%q: %d CPUs, not %d", list, got, want)
		}
	}
}

// TestCPUsOfAMaskedProcess: a process that taskset or a cpuset keeps on one CPU
// is on the same machine as before.
func TestCPUsOfAMaskedProcess(t *testing.T) {
	const child = "MAPPROF_TEST_CPUS"
	if os.Getenv(child) != "" {
		target := new(Measurement).target()
		fmt.Printf("%d online, %d allowed\n", target.CPUs, target.CPUsAllowed)
		os.Exit(0)
	}
	var all, one unix.CPUSet
	runtime.LockOSThread() // and end with it: its mask is this test's
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.Output()
	if want := fmt.Sprintf("%d online, 1 allowed\n", onlineCPUs()); err != nil || string(out) != want {
		t.Errorf("%q, %v, not %q", out, err, want)
	}
}
