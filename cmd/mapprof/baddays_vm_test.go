// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

// TestVMSignals sends SIGINT and SIGTERM at every stage.
func TestVMSignals(t *testing.T) {
	t.Parallel()
	bin := builtMapprof(t)
	type stage struct {
		when   string // a line of progress
		after  time.Duration
		signal unix.Signal
		twice  bool
		args   string
	}
	stages := []stage{
		{when: "trial 0: boot", signal: unix.SIGINT},
		{when: "trial 0: boot", signal: unix.SIGTERM},
		{when: "trial 0: set up", signal: unix.SIGINT},
		{when: "trial 0: attach", signal: unix.SIGTERM},
		{when: "trial 0: measure", signal: unix.SIGINT},
		{when: "trial 0: measure", signal: unix.SIGTERM},
		{when: "trial 0: measure", signal: unix.SIGINT, twice: true},
		// Between two operations, with the maps of the next one made.
		{when: "trial 0: measure", after: 1500 * time.Millisecond, signal: unix.SIGINT, args: "--count 100 --rate 2"},
		{when: "trial 0: drain", signal: unix.SIGTERM, args: "--count 5"},
		{when: "trial 1: boot", signal: unix.SIGINT, args: "--count 5"},
		{when: "trial 1: measure", signal: unix.SIGTERM, args: "--count 5 --rate 4"},
	}
	signalled := func(t *testing.T, tt stage) string {
		args := tt.args
		if args == "" {
			args = "--count 100000"
		}
		cache := ownCache(t)
		v := startVictim(t, bin, cache, append([]string{"--strategy", "tasks-trace", "--trials", "2"}, strings.Fields(args)...)...)
		v.reaches(t, tt.when)
		time.Sleep(tt.after)
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
		if left := scratchLeft(t, cache); len(left) > 0 {
			t.Errorf("%s, %s: left behind: %v", tt.when, how, left)
		}
		return fmt.Sprintf("%s, %s %s\n  exit %d, left: %s\n  %s\n", tt.when, how, tt.args, code, left(t, v.parent), v.message())
	}
	texts := make([]string, len(stages))
	t.Run("all", func(t *testing.T) {
		for i, tt := range stages {
			t.Run(fmt.Sprintf("%s, %s", tt.when, tt.signal), func(t *testing.T) {
				t.Parallel()
				texts[i] = signalled(t, tt)
			})
		}
	})
	checkGolden(t, "signals.golden", strings.Join(texts, ""))
}

// TestVMKilled kills mapprof, and QEMU under it, with SIGKILL.
func TestVMKilled(t *testing.T) {
	t.Parallel()
	bin := builtMapprof(t)
	t.Run("mapprof", func(t *testing.T) {
		v := startVictim(t, bin, ownCache(t), "--count", "100000")
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
		var text strings.Builder
		fmt.Fprintf(&text, "%s, QEMU gone, left: %s\n%s\n", v.cmd.ProcessState, strings.Join(v.everything(t), ", "), v.message())
		// A process that is killed can't clean up; the next one does.
		next := exec.CommandContext(t.Context(), bin, "run", "--kernel", "6.12", "--count", "5", "-o", v.dir())
		var stderr strings.Builder
		next.Stderr, next.Env = &stderr, withCache(v.cache)
		if err := next.Run(); err != nil {
			t.Errorf("%v\n%s", err, &stderr)
		}
		fmt.Fprintf(&text, "the next one: %s, left: %s\n%s\n", next.ProcessState, strings.Join(v.everything(t), ", "), masked(messageOf(stderr.String())))
		checkGolden(t, "mapprof-killed.golden", text.String())
	})
	t.Run("qemu", func(t *testing.T) {
		v := startVictim(t, bin, ownCache(t), "--count", "100000")
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
		if left := scratchLeft(t, v.cache); len(left) > 0 {
			t.Errorf("left in the cache: %v", left)
		}
		checkGolden(t, "qemu-killed.golden", fmt.Sprintf("exit %d, left: %s\n%s\n", code, left(t, v.parent), v.message()))
	})
}

// TestVMTwoAtOnce runs two on one cache.
func TestVMTwoAtOnce(t *testing.T) {
	t.Parallel()
	cache, bin := ownCache(t), builtMapprof(t)
	a, b := startVictim(t, bin, cache, "--count", "20"), startVictim(t, bin, cache, "--count", "20")
	var text strings.Builder
	for _, v := range []*victim{a, b} {
		fmt.Fprintf(&text, "exit %d, left: %s\n%s\n", v.ends(t), left(t, v.parent), v.message())
		d, err := results.Open(v.dir())
		if err != nil {
			t.Fatal(err)
		}
		checkContract(t, d)
	}
	checkGolden(t, "two-at-once.golden", text.String())
	if left := scratchLeft(t, cache); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestVMFullDisk gives the run directory a file system of 32 KiB.
func TestVMFullDisk(t *testing.T) {
	t.Parallel()
	cache, parent := ownCache(t), t.TempDir()
	mount(t, parent, "size=32k")
	code, stdout, stderr := mapprofIn(t, parent, withCache(cache), "run", "--kernel", "6.12", "--strategy", "immediate", "--count", "3000", "-o", filepath.Join(parent, "run"))
	checkGolden(t, "full-disk.golden", fmt.Sprintf("exit %d\n%s\n", code, masked(messageOf(stderr), parent, "PARENT")))
	if stdout != "" {
		t.Errorf("printed %s", stdout)
	}
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if left := scratchLeft(t, cache); len(left) > 0 {
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
	t.Parallel()
	parameters := []string{"rcupdate.rcu_expedited=1", "rcu_nocbs=all", "preempt=none", "preempt=full", "nosmp"}
	texts := make([]string, len(parameters))
	t.Run("all", func(t *testing.T) {
		for i, parameter := range parameters {
			t.Run(parameter, func(t *testing.T) {
				t.Parallel()
				texts[i] = bootedWith(t, parameter)
			})
		}
	})
	checkGolden(t, "boot-parameters.golden", strings.Join(texts, ""))
}

func bootedWith(t *testing.T, parameter string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--kernel", "6.12", "--count", "60", "--strategy", "rcu,tasks-trace", "--append", parameter, "-o", dir)
	facts := factsOf(stdout)
	if parameter == "preempt=full" {
		// There programs are preempted. At most so many calls were missed;
		// whether any was, the balance says.
		facts = regexp.MustCompile(`(?m)^(loss \S+ recursion_misses \d+\n)+`).ReplaceAllString(facts, "loss none\n")
	}
	text := fmt.Sprintf("$ mapprof run --append %s\n[exit %d] %s\n%s\n", parameter, code, masked(messageOf(stderr)), facts)
	d, err := results.Open(dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	checkContract(t, d)
	if !strings.Contains(" "+d.Run.Target.Kernel.Cmdline+" ", " "+parameter+" ") {
		t.Errorf("booted with %q", d.Run.Target.Kernel.Cmdline)
	}
	for _, s := range d.Run.Scenarios {
		t.Logf("%s, %s: median limbo %v, update wait %v", parameter, s.Strategy.Requested,
			time.Duration(s.Phases[results.PhaseLimbo].P50NS), time.Duration(s.Phases[results.PhaseUpdateWait].P50NS))
	}
	return text
}

// factsOf is what a run's table says that isn't a measured figure: CPUs, paths
// and deaths, the balance, and the notes under it.
func factsOf(table string) string {
	var facts []string
	for l := range strings.Lines(withoutBoots(table)) {
		l = strings.Join(strings.Fields(l), " ")
		switch {
		case regexp.MustCompile(`│( \d+){4}$`).MatchString(l):
			name, _, _ := strings.Cut(l, " ")
			_, balance, _ := strings.Cut(l, "│ ")
			facts = append(facts, name+" │ "+balance)
		case regexp.MustCompile(`→|^(pending|loss|excluded|warning) `).MatchString(l):
			facts = append(facts, l)
		default:
			facts = append(facts, regexp.MustCompile(`\b\d+ CPUs?\b`).FindAllString(l, 1)...)
		}
	}
	return regexp.MustCompile(`\b[\d.]+ (ns|µs|ms|s)\b`).ReplaceAllString(masked(strings.Join(facts, "\n")+"\n"), "T")
}

// withoutBoots is a table without warnings of a boot repeated, which are the
// emulator's and come by chance: TestVMBootsAgain. Its long lines are joined.
func withoutBoots(table string) string {
	table = regexp.MustCompile(`\n {5,}`).ReplaceAllString(table, " ")
	table = regexp.MustCompile(`\S+ trial \d+: booted again after boot \d+: an int3 .*?0x[0-9a-f]+(, an int3 that was patched away)?\)`).ReplaceAllString(table, "")
	return regexp.MustCompile(`(?m)^ *warning *\n`).ReplaceAllString(table, "")
}

func init() {
	// A reader that no tasks-trace grace period can pass by before the
	// machine is off, from before the trial's probes attach.
	guestTasks["held-reader"] = func(ctx context.Context, env *task.Env, request []byte) (any, error) {
		w, _, err := workloads.New("churn", map[string]string{"count": "1", "hold-reader": "tasks-trace=60s"})
		if err != nil {
			return nil, err
		}
		instance, err := w.Setup(ctx, "tasks-trace")
		if err != nil {
			return nil, err
		}
		go func() { _, _ = instance.Run(ctx, func(_, _ uint64) {}) }() // it doesn't come to its end
		return trial.Handlers()[trial.TaskRun](ctx, env, request)
	}
}

// TestVMPending ends a run whose deaths can't have ended: they are counted, and
// shown as what they are.
func TestVMPending(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--kernel", "6.12", "--count", "10", "--strategy", "tasks-trace", "--drain-timeout", "100ms",
		"--append", guestMainArg+"held-reader", "-o", dir)
	head, _, _ := strings.Cut(stdout, "\n")
	checkGolden(t, "pending.golden", fmt.Sprintf("[exit %d] %s\n%s\n%s", code, masked(messageOf(stderr)), masked(head), factsOf(stdout)))
}

// TestVMTimeout: a run that --timeout ends keeps what it has.
func TestVMTimeout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr := mapprof(t, "run", "--kernel", "6.12", "--strategy", "rcu,tasks-trace", "--count", "1000000", "--timeout", "32s", "-o", dir)
	if code != exitFailure || !strings.Contains(stderr, "trial 0: not done in 32s (give it a longer --timeout)") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Run.Partial || !strings.Contains(d.Run.PartialReason, "1 of 2 trials") || len(d.Run.Scenarios) != 1 || d.Run.Scenarios[0].Trials[0].Freed == 0 {
		t.Errorf("partial %v (%s), %+v", d.Run.Partial, d.Run.PartialReason, d.Run.Scenarios)
	}
	checkContract(t, d)
}
