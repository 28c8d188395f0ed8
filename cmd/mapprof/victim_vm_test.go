// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bufio"
	"bytes"
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
	cache  string // empty: the real one
	lines  chan string
	done   chan struct{}
	mu     sync.Mutex
	stderr strings.Builder
}

func startVictim(t *testing.T, bin, cache string, args ...string) *victim {
	t.Helper()
	return startCommand(t, bin, cache, "run", args...)
}

// startCommand starts another command than run likewise.
func startCommand(t *testing.T, bin, cache, command string, args ...string) *victim {
	t.Helper()
	v := &victim{parent: t.TempDir(), cache: cache, lines: make(chan string, 1000), done: make(chan struct{})}
	v.cmd = exec.CommandContext(t.Context(), bin, append([]string{command, "--kernel", "6.12", "-o", v.dir()}, args...)...)
	v.cmd.Env = withCache(cache)
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
	all := slices.Concat(beside, scratchLeft(t, v.cache), pinned)
	for i, name := range all {
		all[i] = masked(name, v.parent, "PARENT", v.cache, "CACHE")
	}
	return all
}

// scratchLeft are the scratch directories of runs in a cache.
func scratchLeft(t *testing.T, cache string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cache, "scratch", "run-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// ownCache is a cache of the test's own, with the kernels of the real one.
func ownCache(t *testing.T) string {
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
	return own
}

// withCache is this process's environment with another cache; empty: with its own.
func withCache(cache string) []string {
	if cache == "" {
		return os.Environ()
	}
	return append(os.Environ(), "MAPPROF_CACHE="+cache)
}

// mapprofIn runs the program in a process of its own, in a directory and with an
// environment, so that tests that need other ones go side by side.
func mapprofIn(t *testing.T, dir string, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "mapprof", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
