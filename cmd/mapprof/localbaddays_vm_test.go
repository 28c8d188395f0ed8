// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

// The local target on kernels that refuse something, in one boot: a process
// that becomes the program is given a kernel without it.

const (
	localGuest   = "guest-local"    // does all of them
	localCase    = "guest-local-in" // makes one such world, and is mapprof in it
	byKprobes    = "by-kprobes"     // a trial on a kernel that refuses fentry
	localRunDir  = "/tmp/bad/run"
	localRunArgs = "run --target local --count 5 -o " + localRunDir
)

// localWorlds are what a process does to its kernel before it is mapprof. The
// last can't be undone before the next boot.
var localWorlds = []struct {
	name, args string
	prepare    func() error
}{
	{"no BTF", localRunArgs, func() error { return hide("/sys/kernel/btf") }},
	{killedRecording, "record --target local --interval 1s -o " + localRunDir, func() error { return nil }},
	{killedCase, "run --target local --count 1000000 -o " + localRunDir, func() error { return nil }},
	{"no kprobes, and a run was killed before", localRunArgs, hideKprobes},
	{"no kprobes, fentry refused", byKprobes, hideKprobes},
	{"kprobes disarmed, fentry refused", byKprobes, func() error { return armKprobes(false) }},
	{"root without CAP_PERFMON", localRunArgs, func() error { return errors.Join(armKprobes(true), dropCaps(unix.CAP_PERFMON, unix.CAP_SYS_ADMIN)) }},
	{"root without CAP_BPF", localRunArgs, func() error { return dropCaps(unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN) }},
	{"lockdown=integrity", localRunArgs, func() error { return lockDown("integrity") }},
	{"lockdown=confidentiality", localRunArgs, func() error { return lockDown("confidentiality") }},
}

const (
	killedCase      = "killed while it measures"
	killedRecording = "killed while it records"
)

// armKprobes switches all kprobes, those attached later too: they exist, but
// nothing calls them.
func armKprobes(on bool) error {
	return os.WriteFile("/sys/kernel/debug/kprobes/enabled", []byte(map[bool]string{true: "1", false: "0"}[on]), 0)
}

// hide puts nothing over what the kernel shows there, for this thread and what
// it becomes.
func hide(dirs ...string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	for _, d := range dirs {
		if err := unix.Mount("none", d, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("hide %s: %w", d, err)
		}
	}
	return nil
}

// hideKprobes hides the two ways to ask for one: as a perf event, and in
// tracefs. A kernel built without them shows neither.
func hideKprobes() error {
	return hide("/sys/bus/event_source/devices", "/sys/kernel/tracing", "/sys/kernel/debug")
}

// dropCaps takes capabilities away from what this thread becomes, root or not.
func dropCaps(caps ...uintptr) error {
	for _, c := range caps {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

func lockDown(level string) error {
	const dir = "/sys/kernel/security"
	if err := unix.Mount("securityfs", dir, "securityfs", 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
		return err
	}
	return os.WriteFile(dir+"/lockdown", []byte(level), 0)
}

func init() {
	guestTasks[localGuest] = task.Handle(localBadDays)
	guestMains[localCase] = func(args []string) error {
		runtime.LockOSThread()
		for _, w := range localWorlds {
			if w.name == args[0] {
				if err := w.prepare(); err != nil {
					return err
				}
				return syscall.Exec("/proc/self/exe", append([]string{"mapprof"}, strings.Fields(w.args)...), os.Environ())
			}
		}
		return fmt.Errorf("no case %q", args[0])
	}
	guestMains[byKprobes] = func([]string) error {
		j := trial.Job{Scenario: "s", Workload: "churn", Strategy: "immediate", Params: map[string]string{"count": "5"}, Options: trial.DefaultOptions()}
		j.Mechanisms = []string{probes.MechanismKprobe}
		if err := trial.Run(context.Background(), &task.Env{Dir: localRunDir, OnProgress: func(task.Progress) {}}, &j); err != nil {
			return err
		}
		d, err := results.Open(localRunDir)
		if err != nil {
			return err
		}
		return engine.Verify(d.Run)
	}
}

// localResult is what came of one of them.
type localResult struct {
	Name, Command string
	Exit          string // status or signal
	Stderr        string
	Kprobes       int      // attached, of a run that was kept
	Journal       string   // what a recording had kept
	Left          []string // beside the run directory, in the cache, in the kernel
}

func localBadDays(context.Context, *task.Env, task.None) (all []localResult, err error) {
	for _, w := range localWorlds {
		r := localResult{Name: w.name, Command: w.args}
		cmd := asMapprof(localCase, w.name)
		switch w.name {
		case killedCase:
			r.Exit, err = killed(cmd)
		case killedRecording:
			r.Exit, r.Journal, err = killRecording(cmd)
		default:
			r.Exit, r.Stderr, err = outcomeOf(cmd)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		if d, err := results.Open(localRunDir); err == nil {
			for _, p := range d.Run.Target.Probes {
				if p.Mechanism == probes.MechanismKprobe {
					r.Kprobes++
				}
			}
		}
		if r.Left, err = leftLocally(); err != nil {
			return nil, err
		}
		all = append(all, r)
		if err := os.RemoveAll(localRunDir); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// asMapprof is this binary as the program, with the environment of a job.
func asMapprof(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "MAPPROF_GUEST_FD=none")
	return cmd
}

func outcomeOf(cmd *exec.Cmd) (exit, stderr string, err error) {
	var text strings.Builder
	cmd.Stderr = &text
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		return "", "", err
	}
	return cmd.ProcessState.String(), text.String(), nil
}

// killed kills a run with SIGKILL while it measures.
func killed(cmd *exec.Cmd) (exit string, err error) {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	measures := false
	for sc := bufio.NewScanner(stderr); !measures && sc.Scan(); {
		measures = strings.Contains(sc.Text(), trial.StageMeasure)
	}
	if err := cmd.Process.Kill(); err != nil {
		return "", err
	}
	_, _ = io.Copy(io.Discard, stderr)
	_ = cmd.Wait() // it was killed
	if !measures {
		return "", errors.New("it ended before")
	}
	return cmd.ProcessState.String(), nil
}

// killRecording kills a recording with SIGKILL after two intervals with deaths, and
// says what is left of them.
func killRecording(cmd *exec.Cmd) (exit, journal string, err error) {
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	var had uint64
	seen := map[uint64]bool{0: true}
	for deadline := time.Now().Add(2 * time.Minute); len(seen) < 3 && time.Now().Before(deadline); {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
		if err != nil {
			return "", "", err
		}
		m.Close()
		time.Sleep(10 * time.Millisecond)
		if run, err := results.ReadRun(localRunDir); err == nil {
			had = run.Scenarios[0].Trials[0].Freed
			seen[had] = true
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		return "", "", err
	}
	_ = cmd.Wait() // it was killed
	d, err := results.Open(localRunDir)
	if err != nil {
		return "", "", err
	}
	tr := &d.Run.Scenarios[0].Trials[0]
	lines := uint64(0)
	if err := d.Deaths(func(*results.Death) error { lines++; return nil }); err != nil {
		return "", "", err
	}
	if had == 0 || tr.Freed < had || lines != tr.Freed {
		return "", "", fmt.Errorf("%d deaths are kept with %d lines, and there were %d", tr.Freed, lines, had)
	}
	return cmd.ProcessState.String(), fmt.Sprintf("partial %v, journal %v, %v", d.Run.Partial, d.Run.Journal, engine.Verify(d.Run)), nil
}

// leftLocally lists what runs have left: files, and what of BPF is still there
// after a while, for the kernel frees it later.
func leftLocally() ([]string, error) {
	var found []string
	for _, pattern := range []string{filepath.Dir(localRunDir) + "/*", "/sys/fs/bpf/*", "/tmp/.cache/mapprof/scratch/run-*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		found = append(found, names...)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		objects, err := bpfObjects()
		if err != nil {
			return nil, err
		}
		if len(objects) == 0 || time.Now().After(deadline) {
			return append(found, objects...), nil
		}
	}
}

// bpfObjects lists all programs, maps and links in the kernel.
func bpfObjects() ([]string, error) {
	var found []string
	list := func(kind string, next func(uint32) (uint32, error)) error {
		for id := uint32(0); ; {
			var err error
			if id, err = next(id); errors.Is(err, os.ErrNotExist) {
				return nil
			} else if err != nil {
				return fmt.Errorf("list BPF %ss: %w", kind, err)
			}
			found = append(found, kind)
		}
	}
	err := errors.Join(
		list("a BPF program", func(id uint32) (uint32, error) {
			n, err := ebpf.ProgramGetNextID(ebpf.ProgramID(id))
			return uint32(n), err
		}),
		list("a BPF map", func(id uint32) (uint32, error) { n, err := ebpf.MapGetNextID(ebpf.MapID(id)); return uint32(n), err }))
	links := new(link.Iterator)
	for links.Next() {
		found = append(found, "a BPF link")
	}
	return found, errors.Join(err, links.Err())
}

// TestVMLocalBadDays: what the program says and what it leaves behind.
func TestVMLocalBadDays(t *testing.T) {
	t.Parallel()
	all := vmtest.Call[[]localResult](t, vmtest.VM(t, "6.12"), localGuest, task.None{})
	var text strings.Builder
	for _, r := range all {
		fmt.Fprintf(&text, "%s\n$ mapprof %s\n[%s] %s\n", r.Name, r.Command, r.Exit, masked(messageOf(r.Stderr)))
		if r.Exit == "exit status 0" {
			fmt.Fprintf(&text, "kprobes attached: %d\n", r.Kprobes)
		}
		if r.Journal != "" {
			fmt.Fprintf(&text, "kept: %s\n", r.Journal)
		}
		fmt.Fprintf(&text, "left: %s\n\n", masked(strings.Join(r.Left, ", ")))
	}
	checkGolden(t, "local-bad-days.golden", text.String())
}
