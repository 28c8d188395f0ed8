// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// peakFile is the variable that names the file that peak writes to.
const peakFile = "MAPPROF_TEST_PEAK"

func init() { programs["peak"] = peak }

// peak runs a program and writes down how large it has been. The kernel counts one as at
// least as large as what started it, which these tests are larger than what they look at.
func peak() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bytes := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	if err := os.WriteFile(os.Getenv(peakFile), fmt.Append(nil, bytes), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// runForPeak runs a command and returns how large it has been at most, bytes.
func runForPeak(t *testing.T, cmd *exec.Cmd) (int64, error) {
	t.Helper()
	launcher, err := exec.LookPath("peak")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "peak")
	cmd.Args = append([]string{launcher, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = launcher
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, peakFile+"="+file)
	failed := cmd.Run()
	text, err := os.ReadFile(file)
	n, parsed := strconv.ParseInt(string(text), 10, 64)
	if err := errors.Join(err, parsed); err != nil {
		t.Fatalf("%v: %v", failed, err)
	}
	return n, failed
}

// TestPeak: a small program is small, however large the test is.
func TestPeak(t *testing.T) {
	large := make([]byte, 300<<20)
	for i := 0; i < len(large); i += 4096 {
		large[i] = 1
	}
	n, err := runForPeak(t, exec.Command("true"))
	if err != nil || n <= 0 || n > 120e6 {
		t.Errorf("true takes %d bytes: %v", n, err)
	}
	if n, err := runForPeak(t, exec.Command("head", "-c", "150M", "/dev/zero")); err != nil || n > 120e6 {
		t.Errorf("head takes %d bytes: %v", n, err)
	}
	if n, err := runForPeak(t, exec.Command("bash", "-c", "x=$(head -c 50000000 /dev/zero | tr '\\0' x); exit 3")); err == nil || n < 50e6 {
		t.Errorf("a shell with 50 MB takes %d bytes: %v", n, err)
	}
	if large[0] != 1 {
		t.Fatal("it was never large")
	}
}
