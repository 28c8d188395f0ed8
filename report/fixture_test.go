// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// fixture says what a run for tests is made of.
type fixture struct {
	kernels    []string
	strategies []string
	trials     int
	deaths     int // of a trial
	noDeaths   bool
	slow       float64 // factor on every grace period
	mapName    string
	comm       string
	function   string // of the outermost frame
	started    time.Time
	edit       func(*results.Run)
}

// write makes a run directory as mapprof run does: deaths first, and all
// figures from them.
func (f fixture) write(t testing.TB, dir string) *results.Run {
	t.Helper()
	run, err := f.build(dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// writeTemp makes a run directory that is gone after the test, and returns
// where it is.
func (f fixture) writeTemp(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	f.write(t, dir)
	return dir
}

func (f fixture) build(dir string) (*results.Run, error) {
	if f.slow == 0 {
		f.slow = 1
	}
	f.trials = max(f.trials, 1)
	if f.started.IsZero() {
		f.started = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	}
	if f.mapName == "" {
		f.mapName = "mp_inner"
	}
	if f.function == "" {
		f.function = "entry_SYSCALL_64_after_hwframe"
	}
	stacks := [][]results.Frame{
		{{Function: "bpf_map_put"}, {Function: "bpf_fd_array_map_update_elem"}, {Function: "__sys_bpf"}, {Function: "do_syscall_64"}, {Function: f.function}},
		{{Function: "bpf_map_put"}, {Function: "bpf_map_release"}, {Function: "__fput"}, {Function: "do_syscall_64"}, {Function: f.function}},
		{{Function: "bpf_map_put"}, {Function: "bpf_prog_abc", Module: "bpf"}, {Function: "__sys_bpf"}, {Function: "do_syscall_64"}, {Function: f.function}},
	}
	run := &results.Run{Tool: results.Tool{Name: "mapprof", Version: "v1.2.3", Go: "go1.26"}, Command: []string{"mapprof", "run", "--workload", "churn"},
		Host:    results.Host{OS: "linux", Arch: "amd64", Kernel: "6.18.0", CPUs: 8, MemoryBytes: 32 << 30},
		Started: f.started, Ended: f.started.Add(29 * time.Second), Stacks: map[string][]results.Frame{}}
	for _, s := range stacks {
		run.Stacks[results.StackID(s)] = s
	}
	w, err := results.Create(dir)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	rng := rand.New(rand.NewPCG(1, 2))
	builder, summer := analyze.NewProfileBuilder(), analyze.NewSummer()
	for ki, kernel := range f.kernels {
		target := results.Target{Kind: "vm", Accel: "tcg", Clock: "wall", CPUs: 2, MemoryBytes: 1 << 30, QEMU: "7.2.22",
			Kernel: results.Kernel{Requested: "6.12", Release: kernel, Build: "#1 SMP PREEMPT_DYNAMIC Debian", Cmdline: "console=ttyS0 quiet",
				Knobs: map[string]string{"rcupdate/parameters/rcu_expedited": "0", "sched/preempt": "none (voluntary) full"}},
			Probes: []results.Probe{{Name: "last put", Function: "bpf_map_put", Mechanism: "fentry", Required: true},
				{Name: "callback", Function: "bpf_map_free_rcu_gp", Reason: "this kernel has no function of that name"}}}
		run.Targets = append(run.Targets, target)
		for _, strategy := range f.strategies {
			sc := results.Scenario{ID: "churn/" + kernel + "/" + strategy, Workload: "churn", Loop: "closed", Kernel: kernel, TargetIx: ki,
				Params: map[string]string{"outer": "array-of-maps", "inner": "array", "count": fmt.Sprint(f.deaths)}}
			sc.Strategy.Requested = strategy
			for trial := range f.trials {
				deaths := f.trialDeaths(rng, sc.ID, trial, strategy, stacks)
				tr, err := f.trial(w, builder, summer, &sc, trial, deaths)
				if err != nil {
					return nil, err
				}
				sc.Trials = append(sc.Trials, tr)
			}
			run.Scenarios = append(run.Scenarios, sc)
		}
	}
	run.Target = run.Targets[0]
	if err := summer.Finish(run); err != nil {
		return nil, err
	}
	if f.edit != nil {
		f.edit(run)
	}
	p, err := builder.Build(run.Stacks, analyze.MetaOf(run))
	if err != nil {
		return nil, err
	}
	var gz bytes.Buffer
	if err := analyze.WriteProfile(&gz, p); err != nil {
		return nil, err
	}
	if err := w.Profile(gz.Bytes()); err != nil {
		return nil, err
	}
	return run, w.Finish(run)
}

func (f fixture) trial(w *results.Writer, b *analyze.ProfileBuilder, sum *analyze.Summer, sc *results.Scenario, trial int, deaths []results.Death) (results.Trial, error) {
	n := uint64(len(deaths))
	tr := results.Trial{Index: trial, Puts: n, Freed: n, Expected: n, Ops: n, DurationNS: 5e9, Phases: map[string]results.Stats{},
		Paths: map[string]uint64{}, Loss: map[string]uint64{"ringbuf_full": 0}, Excluded: map[string]uint64{"own": 12}}
	dists, err := analyze.DistributionsOf(deaths)
	if err != nil {
		return tr, err
	}
	for phase, d := range dists {
		tr.Phases[phase] = d.Stats()
		if err := sum.AddHistogram(sc.ID, phase, trial, d.Histogram); err != nil {
			return tr, err
		}
		if err := w.Histogram(results.Tag(sc.ID, trial, phase), d.Histogram, f.started, f.started.Add(time.Second)); err != nil {
			return tr, err
		}
	}
	for i := range deaths {
		tr.Paths[deaths[i].Path]++
		if err := b.Add(&deaths[i]); err != nil {
			return tr, err
		}
		if f.noDeaths {
			continue
		}
		if err := w.Death(&deaths[i]); err != nil {
			return tr, err
		}
	}
	tr.Limbo, tr.Timeline = analyze.LimboOf(analyze.SpansOf(deaths, nil, 0))
	return tr, nil
}

// trialDeaths makes up the deaths of a trial: one put a millisecond, and waits
// that scatter as they do in a kernel.
func (f fixture) trialDeaths(rng *rand.Rand, scenario string, trial int, strategy string, stacks [][]results.Frame) []results.Death {
	const start = 3_000_000_000
	skewed := func(mean float64) int64 { return int64(mean * (0.4 + rng.ExpFloat64()*0.6)) }
	out := make([]results.Death, f.deaths)
	for i := range out {
		d := results.Death{Scenario: scenario, Trial: trial, Path: strategy, MapID: uint32(i + 1), MapType: "Array", MapName: f.mapName, Outer: "array-of-maps",
			KeySize: 4, ValueSize: 8, MaxEntries: 16, MemBytes: 392, CPUPut: i % 2, Comm: f.comm, Stack: results.StackID(stacks[i%7%len(stacks)])}
		d.PutNS = start + int64(i)*1_000_000 + rng.Int64N(500_000)
		at := d.PutNS
		switch strategy {
		case "tasks-trace":
			d.EnqueueNS = at + skewed(5_000)
			d.TasksTraceEndNS = d.EnqueueNS + skewed(160e6*f.slow)
			at = d.TasksTraceEndNS
		case "rcu", "sync":
			d.EnqueueNS = at + skewed(5_000)
			d.RCUEnqueueNS = d.EnqueueNS
			d.RCUEndNS = d.EnqueueNS + skewed(15e6*f.slow)
			at = d.RCUEndNS
		}
		d.FreeNS = at + skewed(300_000)
		d.FreedNS = d.FreeNS + skewed(12_000)
		if strategy == "sync" {
			d.Path = "rcu+sync"
			d.FreeWaitNS = skewed(20e6)
			d.FreedNS += d.FreeWaitNS
		}
		out[i] = d
	}
	return out
}

var (
	twoKernels     = []string{"6.12.117+deb12-cloud-amd64", "7.2.12+deb13-cloud-amd64"}
	twoStrategies  = []string{"rcu", "tasks-trace"}
	fourKernels    = []string{"6.1.0-56-cloud-amd64", "6.12.117+deb12-cloud-amd64", "6.18.15+deb13-cloud-amd64", "7.2.12+deb13-cloud-amd64"}
	fourStrategies = []string{"immediate", "rcu", "tasks-trace", "sync"}
)
