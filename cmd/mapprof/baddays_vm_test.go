// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	v := &victim{parent: t.TempDir(), lines: make(chan string, 1000), done: make(chan struct{})}
	v.cmd = exec.CommandContext(t.Context(), bin, append([]string{"run", "--kernel", "6.12", "-o", v.dir()}, args...)...)
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
func (v *victim) message() string {
	_, after, _ := strings.Cut(v.text(), "mapprof: ")
	line, _, _ := strings.Cut(after, "\n")
	line = strings.ReplaceAll(line, v.parent, "PARENT")
	line = regexp.MustCompile(`6\.12\.[^ ,:]+`).ReplaceAllString(line, "6.12.X")
	return regexp.MustCompile(`\d+ B|\d+ KiB|pid \d+`).ReplaceAllString(line, "N")
}

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

// left describes what is in the run directory's parent: nothing, a run that is
// marked partial, or what should not be there.
func (v *victim) left(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(v.parent)
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
	d, err := results.Open(v.dir())
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(d.Run); err != nil {
		t.Error(err)
	}
	if !d.Run.Partial || d.Run.PartialReason == "" {
		return "a run that is not marked partial"
	}
	return "a partial run"
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

// TestVMSignals sends SIGINT and SIGTERM at every stage.
func TestVMSignals(t *testing.T) {
	ownCache(t)
	bin := builtMapprof(t)
	var text strings.Builder
	for _, tt := range []struct {
		when   string // a line of progress
		signal unix.Signal
		twice  bool
		args   string
	}{
		{when: "trial 0: boot", signal: unix.SIGINT},
		{when: "trial 0: boot", signal: unix.SIGTERM},
		{when: "trial 0: set up", signal: unix.SIGINT},
		{when: "trial 0: attach", signal: unix.SIGTERM},
		{when: "trial 0: measure", signal: unix.SIGINT},
		{when: "trial 0: measure", signal: unix.SIGTERM},
		{when: "trial 0: measure", signal: unix.SIGINT, twice: true},
		{when: "trial 0: drain", signal: unix.SIGTERM, args: "--count 5"},
		{when: "trial 1: boot", signal: unix.SIGINT, args: "--count 5"},
		{when: "trial 1: measure", signal: unix.SIGTERM, args: "--count 5 --rate 4"},
	} {
		args := tt.args
		if args == "" {
			args = "--count 100000"
		}
		v := startVictim(t, bin, append([]string{"--strategy", "tasks-trace", "--trials", "2"}, strings.Fields(args)...)...)
		v.reaches(t, tt.when)
		qemu := v.children(t)
		if err := v.cmd.Process.Signal(tt.signal); err != nil {
			t.Fatal(err)
		}
		how := tt.signal.String()
		if tt.twice {
			// Another one, since equal signals may become one.
			how += " and " + unix.SIGTERM.String()
			if err := v.cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
		code := v.ends(t)
		gone(t, qemu)
		if left := scratchLeft(t); len(left) > 0 {
			t.Errorf("%s, %s: left behind: %v", tt.when, how, left)
		}
		fmt.Fprintf(&text, "%s, %s %s\n  exit %d, left: %s\n  mapprof: %s\n", tt.when, how, tt.args, code, v.left(t), v.message())
	}
	golden(t, "signals.golden", text.String())
}

// TestVMKilled kills mapprof, and QEMU under it, with SIGKILL.
func TestVMKilled(t *testing.T) {
	ownCache(t)
	bin := builtMapprof(t)
	t.Run("mapprof", func(t *testing.T) {
		v := startVictim(t, bin, "--count", "100000")
		v.reaches(t, "measure")
		qemu := v.children(t)
		if len(qemu) != 1 {
			t.Fatalf("children: %v", qemu)
		}
		if err := v.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		v.ends(t)
		gone(t, qemu)
		// A process that is killed can't clean up; the next one does.
		next := exec.CommandContext(t.Context(), bin, "run", "--kernel", "6.12", "--count", "5", "-o", filepath.Join(v.parent, "next"))
		if out, err := next.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if left := scratchLeft(t); len(left) > 0 {
			t.Errorf("left in the cache: %v", left)
		}
		entries, err := os.ReadDir(v.parent)
		if err != nil || len(entries) != 1 || entries[0].Name() != "next" {
			t.Errorf("left beside the run directory: %v %v", entries, err)
		}
		if pins, err := os.ReadDir("/sys/fs/bpf"); err == nil && len(pins) > 0 {
			t.Errorf("pinned: %v", pins)
		}
	})
	t.Run("qemu", func(t *testing.T) {
		v := startVictim(t, bin, "--count", "100000")
		v.reaches(t, "measure")
		qemu := v.children(t)
		if len(qemu) != 1 {
			t.Fatalf("children: %v", qemu)
		}
		if err := unix.Kill(qemu[0], unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		code := v.ends(t)
		gone(t, qemu)
		if left := scratchLeft(t); len(left) > 0 {
			t.Errorf("left in the cache: %v", left)
		}
		golden(t, "qemu-killed.golden", fmt.Sprintf("exit %d, left: %s\nmapprof: %s\n", code, v.left(t), v.message()))
	})
}

// TestVMTwoAtOnce runs two on one cache.
func TestVMTwoAtOnce(t *testing.T) {
	ownCache(t)
	bin := builtMapprof(t)
	a, b := startVictim(t, bin, "--count", "20"), startVictim(t, bin, "--count", "20")
	for _, v := range []*victim{a, b} {
		if code := v.ends(t); code != exitOK {
			t.Errorf("exit %d\n%s", code, v.text())
		}
		d, err := results.Open(v.dir())
		if err != nil {
			t.Fatal(err)
		}
		checkContract(t, d)
	}
	if left := scratchLeft(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestVMFullDisk gives the run directory a file system of 32 KiB.
func TestVMFullDisk(t *testing.T) {
	ownCache(t)
	parent := t.TempDir()
	mount(t, parent, "size=32k")
	code, stdout, stderr := mapprof(t, "run", "--kernel", "6.12", "--strategy", "immediate", "--count", "3000", "-o", filepath.Join(parent, "run"))
	_, message, _ := strings.Cut(stderr, "mapprof: ")
	message = strings.ReplaceAll(regexp.MustCompile(`tmp-\d+`).ReplaceAllString(message, "tmp-N"), parent, "PARENT")
	message = regexp.MustCompile(`6\.12\.[^ ,:]+`).ReplaceAllString(message, "6.12.X")
	golden(t, "full-disk.golden", fmt.Sprintf("exit %d\nmapprof: %s", code, message))
	if stdout != "" {
		t.Errorf("printed %s", stdout)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if left := scratchLeft(t); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
}

// mount puts a tmpfs there for the time of the test.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	flags := uintptr(0)
	if strings.HasPrefix(options, "ro") {
		flags = unix.MS_RDONLY
	}
	if err := unix.Mount("none", dir, "tmpfs", flags, strings.TrimPrefix(options, "ro,")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

// TestVMBootParameters runs what changes grace periods most on one kernel.
func TestVMBootParameters(t *testing.T) {
	for _, parameter := range []string{"rcupdate.rcu_expedited=1", "rcu_nocbs=all", "preempt=none", "preempt=full", "nosmp"} {
		t.Run(parameter, func(t *testing.T) {
			run := runVM(t, "--kernel", "6.12", "--count", "60", "--strategy", "rcu,tasks-trace", "--append", parameter)
			if !strings.Contains(" "+run.Target.Kernel.Cmdline+" ", " "+parameter+" ") {
				t.Errorf("booted with %q", run.Target.Kernel.Cmdline)
			}
			for _, s := range run.Scenarios {
				if s.Strategy.Observed != s.Strategy.Requested || s.Trials[0].Freed != 60 || results.LossText(s.Loss) != "none" {
					t.Errorf("%s: observed %s, %+v, loss %s", s.ID, s.Strategy.Observed, s.Trials[0], results.LossText(s.Loss))
				}
				t.Logf("%s: median limbo %v, update wait %v", s.Strategy.Requested,
					time.Duration(s.Phases[results.PhaseLimbo].P50NS), time.Duration(s.Phases[results.PhaseUpdateWait].P50NS))
			}
		})
	}
}
