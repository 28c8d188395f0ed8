// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
	"github.com/mapprof/mapprof/workloads"
)

// builtAgent is the program of testdata/agent.
func builtAgent(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "agent")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin, "./testdata/agent")
	cmd.Dir, cmd.Env = packageDir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// recorded runs mapprof record with an agent and returns the run's first trial, which
// balances and lost nothing.
func recorded(t *testing.T, flags []string, command ...string) (*results.Run, *results.Trial) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	args := slices.Concat([]string{"record", "--offline", "-o", dir}, flags, []string{"--"}, command)
	mapprofOK(t, exitOK, args...)
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Run.Scenarios {
		for i := range s.Trials {
			tr := &s.Trials[i]
			if err := tr.Balance(); err != nil || tr.Lost != 0 || tr.Puts != tr.Freed {
				t.Errorf("%s: %v, %d puts, %d freed, %d lost: %s", s.ID, err, tr.Puts, tr.Freed, tr.Lost, results.LossText(tr.Loss))
			}
		}
	}
	return d.Run, &d.Run.Scenarios[0].Trials[0]
}

// sumOf adds up the deaths of owners that fit.
func sumOf(owners []results.OwnerSum, fits func(*results.OwnerSum) bool) (n uint64) {
	for i := range owners {
		if fits(&owners[i]) {
			n += owners[i].Deaths
		}
	}
	return n
}

// TestVMRecordOnEveryKernel: of a program that isn't mapprof's every death is told: in
// which of its three containers it was, out of which outer map the map came, and which
// sleepable program keeps the maps of one of them in memory, where kernels do that.
func TestVMRecordOnEveryKernel(t *testing.T) {
	t.Parallel()
	agent := builtAgent(t)
	for _, kernel := range vmtest.Kernels() {
		t.Run(kernel, func(t *testing.T) { recordContainers(t, agent, kernel) })
	}
}

func recordContainers(t *testing.T, agent, kernel string) {
	run, tr := recorded(t, []string{"--kernel", kernel}, agent, "-containers", "3", "-count", strconv.Itoa(perContainer))
	checkContainers(t, run, tr)
	var unread []string
	if (workloads.Target{Release: run.Target.Kernel.Release}).Before(5, 12) {
		unread = []string{"mappings: this kernel doesn't list them (5.12 does)"}
	}
	if l := tr.Live; l == nil || l.End == nil || !slices.Equal(l.Start.Unread, unread) || !slices.Equal(l.End.Unread, unread) {
		t.Errorf("live maps: %+v, warnings %q", l, tr.Warnings)
	}
}

// perContainer is how many maps the first of an agent's containers replaces; the next
// replaces twice as many.
const perContainer = 8

// checkContainers: every death of an agent's in three containers is told as its own. The
// containers' cgroups were gone when the deaths were looked at.
func checkContainers(t *testing.T, run *results.Run, tr *results.Trial) {
	t.Helper()
	const each = perContainer
	pins := !workloads.Target{Release: run.Target.Kernel.Release}.Before(6, 8) // af66bfd3c853
	for i, container := range []string{"a00000000000", "b00000000000", "c00000000000"} {
		outer := "outer" + string(rune('0'+i))
		if n, want := sumOf(tr.Owners, func(o *results.OwnerSum) bool {
			// Those that the outer map had at its own end are freed with it: at once,
			// where the kernel knows that nobody uses them.
			return o.OuterName == outer && (o.Path != results.StrategyImmediate || !pins) && o.Container == container
		}), uint64(each*(i+1)); n != want && (pins || n != want+1) {
			t.Errorf("%s: %d deaths in container %s, want %d: %+v", outer, n, container, want, tr.Owners)
		}
		if n := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return o.OuterName == outer && o.Container != container }); n > 0 {
			t.Errorf("%s: %d deaths in another container than %s", outer, n, container)
		}
		if n := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return o.OuterName == outer && o.Creator != "agent" }); n > 0 {
			t.Errorf("%s: %d deaths of another creator: %+v", outer, n, tr.Owners)
		}
	}
	pinned := sumOf(tr.Owners, func(o *results.OwnerSum) bool {
		return o.OuterName == "outer2" && slices.Equal(o.PinnedBy, []string{"sleeper of agent"})
	})
	if others := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return len(o.PinnedBy) > 0 }) - pinned; others > 0 || pins && pinned != 3*each || !pins && pinned > 0 {
		t.Errorf("%d deaths are pinned by the sleepable program, %d by others", pinned, others)
	}
	if w := tr.Phases[results.PhaseUpdateWait].N; w < 6*each {
		t.Errorf("%d update waits of %d updates", w, 6*each)
	}
}

// TestVMRecordUnloaded: a sleepable program is named for the maps that were dropped
// while it was loaded, and not for those after it.
func TestVMRecordUnloaded(t *testing.T) {
	t.Parallel()
	_, tr := recorded(t, []string{"--kernel", "6.12"}, builtAgent(t), "-count", "20", "-sleepable", "sleeper", "-unload", "12")
	named := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return len(o.PinnedBy) == 1 && o.Path == "tasks-trace" })
	free := sumOf(tr.Owners, func(o *results.OwnerSum) bool {
		return len(o.PinnedBy) == 0 && o.Path == "rcu" && o.OuterName == "routes"
	})
	if named != 12 || free != 8 {
		t.Errorf("%d deaths while it was loaded, %d after it, want 12 and 8: %+v", named, free, tr.Owners)
	}
}

// TestVMRecordRaces: two CPUs drop the last two references of maps at once. Where no
// put is the last one to see, the death begins at its enqueue, and is not lost.
func TestVMRecordRaces(t *testing.T) {
	t.Parallel()
	const maps = 4000
	_, tr := recorded(t, []string{"--kernel", "6.12", "--map-name", "rac*"}, builtAgent(t), "-race", "4000")
	if tr.Freed != maps || tr.PutsUnseen == 0 {
		t.Errorf("%d deaths of %d maps, %d of them raced", tr.Freed, maps, tr.PutsUnseen)
	}
	t.Logf("%d of %d raced", tr.PutsUnseen, maps)
	if tr.Excluded["filtered"] == 0 {
		t.Errorf("nothing was filtered: %v", tr.Excluded)
	}
}

// TestVMRecordOwnedMaps: where the table of whose each map is has no room, that is
// counted, and no death is lost for it.
func TestVMRecordOwnedMaps(t *testing.T) {
	t.Parallel()
	_, tr := recorded(t, []string{"--kernel", "6.12", "--owned-maps", "500"}, builtAgent(t), "-live", "2000", "-count", "20")
	known := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return o.Creator == "agent" })
	if tr.Loss["owners_full"] < 1000 || tr.Freed < 2000 || known == 0 || known > 1000 {
		t.Errorf("%d deaths, of %d the creator is known, %d had no room", tr.Freed, known, tr.Loss["owners_full"])
	}
}

// TestVMRecordKernels: a recording of two kernels ends with a comparison, and the gate
// takes two recordings as it takes runs.
func TestVMRecordKernels(t *testing.T) {
	t.Parallel()
	agent, dirs := builtAgent(t), []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	for _, dir := range dirs {
		out, stderr := mapprofOK(t, 7, "record", "--offline", "--kernel", "6.12", "--kernel", "7.2", "--propagate-exit", "-o", dir, "--", agent, "-exit", "7")
		for _, want := range []string{"B against A", "outer map creator", "routes", "exit code 7"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if !strings.Contains(stderr, "agent: done") {
			t.Errorf("the program's output is not in\n%s", stderr)
		}
	}
	// One trial settles nothing.
	out, _ := mapprofOK(t, exitInconclusive, "gate", "--baseline", dirs[0], "--candidate", dirs[1], "--format", "json")
	var verdict struct{ Verdict string }
	if err := json.Unmarshal([]byte(out), &verdict); err != nil || verdict.Verdict != "inconclusive" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestVMRecordEnds: a recording that is told to end is whole, and the program ends
// with it.
func TestVMRecordEnds(t *testing.T) {
	t.Parallel()
	agent := builtAgent(t)
	_, tr := recorded(t, []string{"--kernel", "6.12", "--duration", "2s"}, agent, "-count", "5", "-hold", "10m")
	if tr.Command == nil || !tr.Command.Stopped || tr.Partial {
		t.Errorf("after --duration: %+v, partial %v", tr.Command, tr.Partial)
	}
	v := startCommand(t, builtMapprof(t), "", "record", "--offline", "--", agent, "-count", "5", "-hold", "10m")
	v.reaches(t, "trial 0: measure")
	time.Sleep(2 * time.Second) // some deaths
	qemu, told := v.children(t), time.Now()
	if err := v.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := v.ends(t); code != exitOK {
		t.Errorf("exit %d: %s", code, v.text())
	}
	if took := time.Since(told); took > 10*time.Second {
		t.Errorf("it ended %v after it was told", took)
	}
	gone(t, qemu)
	dir := v.dir()
	d, err := results.Open(dir)
	if err != nil || d.Run.Partial || d.Run.Scenarios[0].Trials[0].Freed < 5 {
		t.Errorf("%v: %+v", err, d)
	}
}

// TestVMRecordBpftrace records a program that none of us wrote, with the libraries that
// it needs: Debian's bpftrace, whose maps have the names that its script gave them.
func TestVMRecordBpftrace(t *testing.T) {
	t.Parallel()
	run, tr := recorded(t, []string{"--kernel", "6.12"}, "bpftrace", "-e", `BEGIN { @seen[1] = 1; @sizes = hist(3); exit(); }`)
	if n := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return o.Creator == "bpftrace" }); n < 2 || tr.Command.ExitCode != 0 {
		t.Errorf("%d deaths of its maps, exit code %d: %+v", n, tr.Command.ExitCode, tr.Owners)
	}
	if run.Scenarios[0].Params["args"] == "" {
		t.Errorf("the command is not among the parameters: %v", run.Scenarios[0].Params)
	}
}

// TestVMRecordLocal records on the local target: a mapprof in a guest watches an agent
// there, as root would on a machine of its own, while another one watches both.
func TestVMRecordLocal(t *testing.T) {
	t.Parallel()
	agent, bin := builtAgent(t), builtMapprof(t)
	dir := filepath.Join(t.TempDir(), "run")
	_, stderr := mapprofOK(t, exitOK, "record", "--offline", "--kernel", "6.12", "--memory", "2GiB", "--file", agent, "-o", dir, "--",
		bin, "record", "--target", "local", "-o", "/tmp/inner", "--", agent, "-count", "5")
	unwrapped := strings.Join(strings.Fields(stderr), " ") // where a line is wrapped depends on the path's length
	for _, want := range []string{"own=true", "target local", "observed: immediate, 11 deaths", "routes    agent   /                 rcu            5", "loss            none"} {
		if !strings.Contains(stderr, want) && !strings.Contains(unwrapped, want) {
			t.Errorf("no %q in\n%s", want, stderr)
		}
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	// The outer one sees the maps of the inner one as any program's.
	tr := &d.Run.Scenarios[0].Trials[0]
	agents := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return o.Creator == "agent" && o.OuterName == "routes" })
	inner := sumOf(tr.Owners, func(o *results.OwnerSum) bool { return o.Creator == "mapprof" })
	if agents != 6 || inner == 0 || tr.Lost > 0 {
		t.Errorf("%d deaths of the agent's, %d of mapprof's, %d lost: %+v", agents, inner, tr.Lost, tr.Owners)
	}
}

// TestVMRecordLiveMaps: an inventory names who holds each live map, in each way that
// there is, and the map that nobody holds. With 10,000 maps it takes the memory that it
// may, and lists no more than it may.
func TestVMRecordLiveMaps(t *testing.T) {
	t.Parallel()
	const many = 10000
	dir := filepath.Join(t.TempDir(), "run")
	// The guest's mapprof is what users have, without the tests.
	out, err := exec.CommandContext(t.Context(), builtMapprof(t), "record", "--offline", "--kernel", "6.12", "--memory", "2GiB", "-o", dir, "--",
		builtAgent(t), "-leave", "-count", "0", "-keep", "-live", strconv.Itoa(many), "-hold", "1h").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stdout := string(out)
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := &d.Run.Scenarios[0].Trials[0]
	if tr.Live == nil || tr.Live.End == nil {
		t.Fatalf("no inventory: %v", tr.Warnings)
	}
	start, end := &tr.Live.Start, tr.Live.End
	t.Logf("%d maps took %v, %d took %v; mapprof had %.1f MiB", start.Held.LiveMaps, time.Duration(start.TookNS),
		end.Held.LiveMaps, time.Duration(end.TookNS), float64(tr.MaxRSSBytes)/(1<<20))
	const kept = 7 // the outer map, and one in each way
	if n := end.Held.LiveMaps - start.Held.LiveMaps; n != many+kept {
		t.Errorf("%d maps more than at the start, want %d", n, many+kept)
	}
	if len(end.Top) != inventory.MaxMaps || end.Others.Maps != end.Held.LiveMaps-inventory.MaxMaps || end.Unread != nil {
		t.Errorf("%d maps are listed, %d others, not read: %q", len(end.Top), end.Others.Maps, end.Unread)
	}
	// The goal is a second beyond attaching, on a machine of one's own.
	if took := time.Duration(end.TookNS); took > time.Minute {
		t.Errorf("to look at %d maps took %v", end.Held.LiveMaps, took)
	}
	if tr.MaxRSSBytes == 0 || tr.MaxRSSBytes > 64<<20 {
		t.Errorf("mapprof had %d bytes resident, more than 64 MiB", tr.MaxRSSBytes)
	}
	for name, want := range map[string]inventory.Holder{
		"by_fd":      {Kind: inventory.FD, Comm: "agent"},
		"by_mapping": {Kind: inventory.Mapping, Comm: "agent"},
		"by_pin":     {Kind: inventory.Pin, Name: "/sys/fs/bpf/agent/state"},
		"by_prog":    {Kind: inventory.Program, Name: "user", Comm: "agent"},
		"by_outer":   {Kind: inventory.Outer, Name: "keeper"},
		"keeper":     {Kind: inventory.FD, Comm: "agent"},
	} {
		m := liveNamed(end, name)
		if m == nil || len(m.Holders) != 1 || m.References != 1 || m.Unaccounted != 0 {
			t.Errorf("%s: %+v", name, m)
			continue
		}
		h := m.Holders[0]
		if h.Kind != want.Kind || h.Name != want.Name || h.Comm != want.Comm || (h.PID != 0) != (want.Comm != "") {
			t.Errorf("%s is held by %+v, want %+v", name, h, want)
		}
	}
	if m := liveNamed(end, "by_nobody"); m == nil || len(m.Holders) > 0 || m.References != 1 || m.Unaccounted != 1 {
		t.Errorf("by_nobody, which is in a message that nobody received: %+v", m)
	}
	if tr.Live.Looks < 2 || tr.Live.Peak.Bytes() < end.Held.Bytes() {
		t.Errorf("the largest total is %+v, and at the end it is %+v", tr.Live.Peak, end.Held)
	}
	for _, want := range []string{"live maps of", "outer map keeper", "pinned in /sys/fs/bpf/agent", "program user of agent", "mapped by agent", "no owner found: map", "memory of maps"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

// liveNamed is the map of that name, nil where it isn't listed.
func liveNamed(l *inventory.Maps, name string) *inventory.Map {
	for i := range l.Top {
		if l.Top[i].Name == name {
			return &l.Top[i]
		}
	}
	return nil
}

// TestVMRecordStuck: a map whose memory is held for long is told of before it is freed,
// with the grace period that it waits for and the reader that holds that up. It is in
// the run as stuck, and a death as any other.
func TestVMRecordStuck(t *testing.T) {
	t.Parallel()
	const hold, after = 6 * time.Second, time.Second
	bin := builtMapprof(t)
	dir := filepath.Join(t.TempDir(), "run")
	stdout, stderr := mapprofOK(t, exitOK, "record", "--offline", "--kernel", "6.12", "--kernel", "7.2", "--stuck-after", after.String(), "-o", dir, "--",
		bin, "run", "--target", "local", "--no-probes", "--strategy", "tasks-trace", "--count", "1", "--hold-reader", "tasks-trace="+hold.String(), "-o", "/tmp/inner")
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Run.Scenarios) != 2 {
		t.Fatalf("%d scenarios\n%s\n%s", len(d.Run.Scenarios), stdout, stderr)
	}
	for i := range d.Run.Scenarios {
		s := &d.Run.Scenarios[i]
		checkStuck(t, s, hold, after)
		if want := "stuck           " + s.ID; !strings.Contains(stdout, want) {
			t.Errorf("the report lacks %q:\n%s", want, stdout)
		}
	}
	for _, want := range []string{"mapprof: stuck: map ", " is in tasks_trace_gp, ", "uses its outer map"} {
		if strings.Count(stderr, want) < 2 {
			t.Errorf("%q isn't said of both kernels in\n%s", want, stderr)
		}
	}
}

// TestVMRecordStuckFree: of a map that is held up in its free the worker is told, with
// what it waits in.
func TestVMRecordStuckFree(t *testing.T) {
	t.Parallel()
	const hold, after = 3 * time.Second, time.Second
	_, tr := recorded(t, []string{"--kernel", "6.12", "--stuck-after", after.String()}, builtAgent(t), "-blocked-free", hold.String())
	i := slices.IndexFunc(tr.Stuck, func(s results.Stuck) bool { return s.MapName == "blocked" })
	if i < 0 || tr.Lost != 0 {
		t.Fatalf("%d lost, and stuck are %+v", tr.Lost, tr.Stuck)
	}
	worker := regexp.MustCompile(`^kworker/\S+ \(pid \d+\) in .*synchronize_rcu\S* < dev_map_free < bpf_map_free_deferred < `)
	if s := tr.Stuck[i]; s.Phase != results.PhaseFree || !worker.MatchString(s.Worker) || s.FreedNS-s.PutNS < hold.Nanoseconds() {
		t.Errorf("%+v", s)
	}
}

// checkStuck: each death that a reader held up was told of in time, with what it waits
// for: the reader's task, and since 7.0 the state of the SRCU that tasks-trace is.
func checkStuck(t *testing.T, scenario *results.Scenario, hold, after time.Duration) {
	tr := &scenario.Trials[0]
	if tr.Lost != 0 || len(tr.Stuck) == 0 {
		t.Errorf("%s: %d stuck, %d lost", scenario.ID, len(tr.Stuck), tr.Lost)
	}
	srcu := regexp.MustCompile(`tasks-trace grace period in scan [12] \(srcu_gp_seq -?\d+, readers by index (1 and 0|0 and 1)\)`)
	for _, s := range tr.Stuck {
		t.Logf("%s: %+v", scenario.ID, s)
		// Reported after the time, and before it was freed: by the guest's clock.
		if s.SeenNS-s.PutNS < after.Nanoseconds() || s.FreedNS <= s.SeenNS || s.FreedNS-s.PutNS < hold.Nanoseconds() {
			t.Errorf("put at %d, told of at %d, freed at %d", s.PutNS, s.SeenNS, s.FreedNS)
		}
		if s.Phase != results.PhaseTasksTraceGP || s.OuterID == 0 || len(s.PinnedBy) != 1 {
			t.Errorf("%+v", s)
		}
		if !strings.Contains(s.GracePeriod, "RCU") || !strings.Contains(s.GracePeriod, "tasks-trace readers: mapprof (pid ") {
			t.Errorf("the grace periods: %q", s.GracePeriod)
		}
		if strings.HasPrefix(scenario.Kernel, "7.") != srcu.MatchString(s.GracePeriod) {
			t.Errorf("%s: SRCU's state: %q", scenario.Kernel, s.GracePeriod)
		}
	}
}
