// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/results"
)

// victim is a mapprof run in a process of its own.
type victim struct {
	cmd    *exec.Cmd
	parent string // of the run directory
	lines  chan string
	done   chan struct{}
	mu     sync.Mutex
	stderr strings.Builder
}

func startVictim(t *testing.T, bin string, args ...string) *victim {
	t.Helper()
	return startCommand(t, bin, "run", args...)
}

// startCommand starts another command than run likewise.
func startCommand(t *testing.T, bin, command string, args ...string) *victim {
	t.Helper()
	v := &victim{parent: t.TempDir(), lines: make(chan string, 1000), done: make(chan struct{})}
	v.cmd = exec.CommandContext(t.Context(), bin, append([]string{command, "--kernel", "6.12", "-o", v.dir()}, args...)...)
	stderr, err := v.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(v.done)
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			v.mu.Lock()
			v.stderr.WriteString(sc.Text() + "\n")
			v.mu.Unlock()
			select {
			case v.lines <- sc.Text():
			default: // nobody waits any more
			}
		}
	}()
	return v
}

func (v *victim) dir() string { return filepath.Join(v.parent, "run") }

// reaches waits for a line of progress.
func (v *victim) reaches(t *testing.T, text string) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		select {
		case line := <-v.lines:
			if strings.Contains(line, text) {
				return
			}
		case <-v.done:
			t.Fatalf("it ended before %q:\n%s", text, v.text())
		case <-limit:
			t.Fatalf("it did not come to %q:\n%s", text, v.text())
		}
	}
}

func (v *victim) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stderr.String()
}

// ends waits for the end and returns the exit code, -1 for a signal.
func (v *victim) ends(t *testing.T) int {
	t.Helper()
	<-v.done
	err := v.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return v.cmd.ProcessState.ExitCode()
}

// message is what it said at last, without what differs from run to run.
func (v *victim) message() string { return masked(messageOf(v.text()), v.parent, "PARENT") }

// children are the processes that mapprof has started: QEMU.
func (v *victim) children(t *testing.T) []int {
	t.Helper()
	out, _ := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(v.cmd.Process.Pid)).Output()
	var pids []int
	for _, f := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// gone waits until none of the processes is left.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000); err != nil || n != 1 {
			t.Errorf("process %d is still there: %d, %v", pid, n, err)
		}
		unix.Close(fd)
	}
}

// left describes what is in the run directory's parent: nothing, a run, or
// what should not be there.
func left(t *testing.T, parent string) string {
	t.Helper()
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case len(entries) == 0:
		return "nothing"
	case len(entries) > 1 || entries[0].Name() != "run":
		t.Errorf("left behind: %v", entries)
		return "rubbish"
	}
	d, err := results.Open(filepath.Join(parent, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Verify(d.Run); err != nil {
		t.Error(err)
	}
	if !d.Run.Partial {
		return "a whole run"
	}
	if d.Run.PartialReason == "" {
		t.Error("a partial run without a reason")
	}
	return "a partial run"
}

// everything is all that is left beside the run, in the cache, and pinned.
func (v *victim) everything(t *testing.T) []string {
	t.Helper()
	beside, err := filepath.Glob(filepath.Join(v.parent, "*"))
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := filepath.Glob("/sys/fs/bpf/*")
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(beside, scratchLeft(t), pinned)
	for i, name := range all {
		all[i] = masked(name, v.parent, "PARENT", os.Getenv("MAPPROF_CACHE"), "CACHE")
	}
	return all
}

// scratchLeft are the scratch directories of runs in the cache.
func scratchLeft(t *testing.T) []string {
	t.Helper()
	base := os.Getenv("MAPPROF_CACHE")
	if base == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		base = filepath.Join(cache, "mapprof")
	}
	found, err := filepath.Glob(filepath.Join(base, "scratch", "run-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// ownCache gives the test a cache of its own, with the kernels of the real one.
func ownCache(t *testing.T) {
	t.Helper()
	real := os.Getenv("MAPPROF_CACHE")
	if real == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		real = filepath.Join(cache, "mapprof")
	}
	own := t.TempDir()
	for _, name := range []string{"kernels", "apt", "kvm.json"} {
		if err := os.Symlink(filepath.Join(real, name), filepath.Join(own, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("MAPPROF_CACHE", own)
}
