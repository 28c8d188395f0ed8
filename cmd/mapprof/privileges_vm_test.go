// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
	"github.com/mapprof/mapprof/target/task"
)

// mapprof as another user than root, with some capabilities.

const privilegesGuest = "guest-privileges"

// privilegeCase is one user's mapprof.
type privilegeCase struct {
	Name         string
	Capabilities []uintptr
	Args         string // "record" has a churn of that user's behind it
	Agent        bool   // "record" watches root's agent instead
}

const guestAgent = "/usr/bin/agent"

type privilegeResult struct {
	Exit, Stderr string
	Run          *results.Run // nil: it left none
}

const memlockMain = "guest-memlock" // makes RLIMIT_MEMLOCK small, and is mapprof

func init() {
	guestTasks[privilegesGuest] = task.Handle(func(_ context.Context, _ *task.Env, cases []privilegeCase) (all []privilegeResult, err error) {
		held, err := rootsMaps()
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			r, err := asUser(&c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			all = append(all, r)
		}
		for _, m := range held {
			err = errors.Join(err, m.Close())
		}
		return all, err
	})
	guestMains[memlockMain] = func(args []string) error {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
			return err
		}
		return syscall.Exec("/proc/self/exe", append([]string{"mapprof"}, args...), os.Environ())
	}
}

// rootsMaps makes an outer map of root's with a map in it, which is pinned, too.
func rootsMaps() ([]*ebpf.Map, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, err
	}
	spec := &ebpf.MapSpec{Name: "of_root", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 4}
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, err
	}
	outer, err := ebpf.NewMap(&ebpf.MapSpec{Name: "outer_of_root", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: spec})
	if err != nil {
		return nil, err
	}
	return []*ebpf.Map{m, outer}, errors.Join(outer.Put(uint32(0), uint32(m.FD())), m.Pin("/sys/fs/bpf/of_root"))
}

// asUser runs a case in a directory of that user's.
func asUser(c *privilegeCase) (r privilegeResult, err error) {
	const user = 1000
	home, err := os.MkdirTemp("", "user-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(home)
	if err := os.Chown(home, user, user); err != nil {
		return r, err
	}
	dir := filepath.Join(home, "run")
	args := strings.Fields(c.Args)
	switch {
	case c.Agent:
		args = append(args, "-o", dir)
	case args[0] == "record":
		args = append(args, "-o", dir, "--", "/proc/self/exe", "run", "--target", "local", "--no-probes", "--count", "10", "-o", filepath.Join(home, "churn"))
	}
	cmd := asMapprof(args...)
	cmd.Env, cmd.Dir = append(cmd.Env, "HOME="+home, "MAPPROF_CACHE="+home), home
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, AmbientCaps: c.Capabilities}
	if c.Agent {
		r.Exit, r.Stderr, err = watching(cmd, exec.Command(guestAgent, "-containers", "3", "-count", fmt.Sprint(perContainer)))
	} else {
		r.Exit, r.Stderr, err = outcomeOf(cmd)
	}
	if err != nil {
		return r, err
	}
	if d, err := results.Open(dir); err == nil {
		r.Run = d.Run
	}
	return r, nil
}

// watching runs an agent while a recording watches, and ends it.
func watching(record, agent *exec.Cmd) (exit, said string, err error) {
	stderr, err := record.StderrPipe()
	if err != nil {
		return "", "", err
	}
	if err := record.Start(); err != nil {
		return "", "", err
	}
	var text strings.Builder
	for sc := bufio.NewScanner(stderr); sc.Scan(); {
		fmt.Fprintln(&text, sc.Text())
		if agent == nil || !strings.Contains(sc.Text(), trial.StageMeasure) {
			continue
		}
		out, ran := agent.CombinedOutput()
		if ran != nil {
			ran = fmt.Errorf("%w: %s", ran, out)
		}
		err, agent = errors.Join(ran, record.Process.Signal(syscall.SIGINT)), nil
	}
	if werr := record.Wait(); err == nil && record.ProcessState == nil {
		err = werr
	}
	return record.ProcessState.String(), text.String(), err
}

// threeCapabilities are those of a user who is to record, without any of root's others.
var threeCapabilities = []uintptr{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_PTRACE}

// privileged runs cases on a kernel and returns what came of each.
func privileged(t *testing.T, kernel string, cases ...privilegeCase) []privilegeResult {
	t.Helper()
	agent, err := os.ReadFile(builtAgent(t))
	if err != nil {
		t.Fatal(err)
	}
	all := vmtest.Call[[]privilegeResult](t, vmtest.VM(t, kernel), privilegesGuest, cases, map[string][]byte{guestAgent: agent})
	for i, r := range all {
		t.Logf("%s, %s: %s", kernel, cases[i].Name, r.Exit)
	}
	return all
}

// churnOf is the trial of a user's recording, which told of every death of the churn.
func churnOf(t *testing.T, r *privilegeResult) *results.Trial {
	t.Helper()
	if r.Exit != "exit status 0" || r.Run == nil {
		t.Fatalf("%s\n%s", r.Exit, r.Stderr)
	}
	tr := &r.Run.Scenarios[0].Trials[0]
	n := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return o.OuterName == "mp_outer" && o.Creator == "exe of init" })
	if n < 10 || tr.Lost != 0 || tr.Puts != tr.Freed {
		t.Errorf("%d of 10 deaths have their outer map and creator; %d puts, %d freed, %d lost: %+v", n, tr.Puts, tr.Freed, tr.Lost, tr.Owners)
	}
	return tr
}

// refused checks that a case failed with that for its last line.
func refused(t *testing.T, r *privilegeResult, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
	if last := lines[len(lines)-1]; r.Exit != "exit status 1" || !strings.HasSuffix(last, want) || r.Run != nil {
		t.Errorf("%s, not with %q:\n%s", r.Exit, want, r.Stderr)
	}
}

// containersOf checks a recording of root's agent as one that root makes.
func containersOf(t *testing.T, r *privilegeResult) {
	t.Helper()
	if r.Exit != "exit status 0" || r.Run == nil {
		t.Fatalf("%s\n%s", r.Exit, r.Stderr)
	}
	checkContainers(t, r.Run, &r.Run.Scenarios[0].Trials[0])
}

// TestVMPrivileges: another user than root records with three capabilities, of every
// program's maps what root would, and is told which others what is missing needs. Without
// one of the first two, it is told which.
func TestVMPrivileges(t *testing.T) {
	t.Parallel()
	const record = "record --target local --all"
	const help = " (give it CAP_BPF and CAP_PERFMON, as root has them; or try "
	all := privileged(t, "6.12",
		privilegeCase{Name: "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE", Args: record, Capabilities: threeCapabilities},
		privilegeCase{Name: "CAP_BPF, CAP_PERFMON, CAP_SYSLOG", Args: record, Capabilities: []uintptr{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYSLOG}},
		privilegeCase{Name: "CAP_BPF, CAP_SYS_PTRACE", Args: record, Capabilities: []uintptr{unix.CAP_BPF, unix.CAP_SYS_PTRACE}},
		privilegeCase{Name: "none", Args: "top"},
		privilegeCase{Name: "root's agent", Args: record, Capabilities: threeCapabilities, Agent: true})
	tr := churnOf(t, &all[0])
	if want := []string{
		"file descriptors: the kernel tells no addresses (CAP_SYSLOG is missing)",
		"pins: 1 files or directories in bpffs may not be read (CAP_DAC_OVERRIDE is missing)",
		"the maps in outer maps: the kernel refuses to open them (CAP_SYS_ADMIN is missing)",
	}; !slices.Equal(tr.Live.End.Unread, want) {
		t.Errorf("what was not read: %q, want %q", tr.Live.End.Unread, want)
	}
	if !slices.ContainsFunc(tr.Warnings, func(w string) bool {
		return strings.HasPrefix(w, "the kernel tells no addresses (CAP_SYSLOG is missing)")
	}) {
		t.Errorf("warnings: %q", tr.Warnings)
	}
	// Who holds a map by a descriptor is told of root's processes, too: it needs the
	// kernel's addresses, and not CAP_SYS_PTRACE.
	tr = churnOf(t, &all[1])
	if m := liveNamed(tr.Live.End, "outer_of_root"); m == nil || len(m.Holders) != 1 || m.Holders[0].Kind != inventory.FD || len(tr.Live.End.Unread) != 2 || len(tr.Warnings) > 0 {
		t.Errorf("root's map: %+v; not read: %q; warnings %q", m, tr.Live.End.Unread, tr.Warnings)
	}
	refused(t, &all[2], "attach probes: missing CAP_PERFMON"+help+"--target vm)")
	refused(t, &all[3], "attach probes: missing CAP_BPF and CAP_PERFMON"+help+"mapprof record --target vm)")
	containersOf(t, &all[4])
	all = privileged(t, "5.10",
		privilegeCase{Name: "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE", Args: record, Capabilities: threeCapabilities},
		privilegeCase{Name: "with a small RLIMIT_MEMLOCK", Args: memlockMain + " " + record + " --duration 1s", Capabilities: threeCapabilities},
		privilegeCase{Name: "root's agent", Args: record, Capabilities: threeCapabilities, Agent: true})
	churnOf(t, &all[0])
	containersOf(t, &all[2])
	refused(t, &all[1], "attach probes: RLIMIT_MEMLOCK allows 64 KiB, and CAP_SYS_RESOURCE to raise it is missing"+
		" (before 5.11 BPF's memory counts against it: ulimit -l unlimited, or run it as root)")
}
