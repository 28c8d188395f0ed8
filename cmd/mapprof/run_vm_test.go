// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
)

// runVM runs mapprof run on the VM target and returns what it wrote. The run
// must succeed, and what it prints as JSON must be what it wrote.
func runVM(t *testing.T, args ...string) *results.Run {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, append([]string{"run", "--target", "vm", "--format", "json", "-o", dir}, args...)...)
	if code != exitOK {
		t.Fatalf("mapprof run %s: exit %d\n%s", strings.Join(args, " "), code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var printed results.Run
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil {
		t.Fatalf("standard output is not JSON: %v", err)
	}
	if len(printed.Scenarios) != len(d.Run.Scenarios) {
		t.Errorf("printed %d scenarios, wrote %d", len(printed.Scenarios), len(d.Run.Scenarios))
	}
	checkContract(t, d)
	return d.Run
}

// checkContract holds a run directory against what scripts are promised, by
// the raw JSON and not by our own types.
func checkContract(t *testing.T, d *results.Dir) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(d.Path, results.RunFile))
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	at := func(v any, path string) any {
		for _, key := range strings.Split(path, ".") {
			m, ok := v.(map[string]any)
			if !ok || m[key] == nil {
				t.Errorf("run.json has no %s", path)
				return nil
			}
			v = m[key]
		}
		return v
	}
	for _, p := range []string{"schema_version", "target.kernel.release", "target.accel", "target.clock", "warnings"} {
		at(raw, p)
	}
	var deaths, histogrammed uint64
	scenarios, _ := at(raw, "scenarios").([]any)
	for _, s := range scenarios {
		for _, p := range []string{"workload", "kernel", "strategy.requested", "strategy.observed",
			"phases.limbo.n", "phases.limbo.p50_ns", "phases.limbo.p90_ns", "phases.limbo.p99_ns", "phases.limbo.max_ns", "phases.limbo.mean_ns",
			"limbo.peak_bytes", "limbo.byte_seconds", "loss"} {
			at(s, p)
		}
		trials, _ := at(s, "trials").([]any)
		for _, tr := range trials {
			n := map[string]float64{}
			for _, p := range []string{"puts", "freed", "in_flight", "lost"} {
				n[p], _ = at(tr, p).(float64)
			}
			if n["puts"] != n["freed"]+n["in_flight"]+n["lost"] || n["puts"] == 0 {
				t.Errorf("a trial does not balance: %v", n)
			}
			deaths += uint64(n["freed"])
		}
	}
	var lines uint64
	if err := d.Deaths(func(*results.Death) error { lines++; return nil }); err != nil {
		t.Error(err)
	}
	if err := d.EachHistogram(func(h *hdrhistogram.Histogram) error {
		if strings.HasSuffix(h.Tag(), "/"+results.PhaseLimbo) {
			histogrammed += uint64(h.TotalCount())
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if lines != deaths || histogrammed != deaths {
		t.Errorf("%d deaths in the trials, %d lines, %d in histograms", deaths, lines, histogrammed)
	}
}

// strategy returns the run's scenario of a requested strategy.
func strategy(t *testing.T, run *results.Run, name string) *results.Scenario {
	t.Helper()
	for i := range run.Scenarios {
		if run.Scenarios[i].Strategy.Requested == name {
			return &run.Scenarios[i]
		}
	}
	t.Fatalf("no scenario with strategy %s", name)
	return nil
}

// TestVMChurnOnEveryKernel is the main job on the matrix of kernels.
func TestVMChurnOnEveryKernel(t *testing.T) {
	for _, kernel := range vmtest.Kernels() {
		if !preempts(kernel) {
			t.Run(kernel, func(t *testing.T) { churnOn(t, kernel) })
		}
	}
}

// TestVMAloneChurnOnEveryKernel has those kernels that preempt tasks inside a probe now
// and then where the host is busy.
func TestVMAloneChurnOnEveryKernel(t *testing.T) {
	for _, kernel := range vmtest.Kernels() {
		if preempts(kernel) {
			t.Run(kernel, func(t *testing.T) { churnOn(t, kernel) })
		}
	}
}

// preempts: Debian's kernels are built with lazy preemption from then on.
func preempts(kernel string) bool { return strings.HasPrefix(kernel, "7.") }

func churnOn(t *testing.T, kernel string) {
	run := runVM(t, "--kernel", kernel, "--count", "100", "--strategy", "rcu,tasks-trace,immediate,sync")
	if !strings.HasPrefix(run.Target.Kernel.Release, kernel+".") {
		t.Errorf("kernel %s is a %s", run.Target.Kernel.Release, kernel)
	}
	rcu, tt := strategy(t, run, "rcu"), strategy(t, run, "tasks-trace")
	immediate, sync := strategy(t, run, "immediate"), strategy(t, run, "sync")
	for _, s := range run.Scenarios {
		if len(s.Trials) != 1 || s.Trials[0].Freed != 100 || results.LossText(s.Loss) != "none" {
			t.Errorf("%s: %+v, loss %s", s.ID, s.Trials, results.LossText(s.Loss))
		}
		requested, observed := s.Strategy.Requested, s.Strategy.Observed
		told := false
		for _, w := range run.Warnings {
			told = told || strings.Contains(w, "strategy "+requested+" was requested")
		}
		if told != (requested != observed) {
			t.Errorf("%s: requested %s, observed %s, told at the top: %v (%q)", s.ID, requested, observed, told, run.Warnings)
		}
	}
	for _, phase := range []string{results.PhaseRCUGP, results.PhaseTasksTraceGP, results.PhaseEnqueue} {
		if _, there := immediate.Phases[phase]; there {
			t.Errorf("immediate has a phase %s", phase)
		}
	}
	wait, limbo := sync.Phases[results.PhaseFreeWait], sync.Phases[results.PhaseLimbo]
	if sync.Strategy.Observed != "sync" || float64(wait.SumNS) < 0.05*float64(limbo.SumNS) || wait.P50NS < int64(time.Millisecond) {
		t.Errorf("sync: observed %s, waits %+v of limbo %+v", sync.Strategy.Observed, wait, limbo)
	}
	if _, there := immediate.Phases[results.PhaseUpdateWait]; there {
		t.Error("immediate waits in updates")
	}
	if n := rcu.Phases[results.PhaseUpdateWait].N; n != 100 {
		t.Errorf("%d update waits in 100 updates", n)
	}
	ratio := float64(tt.Phases[results.PhaseLimbo].P50NS) / float64(rcu.Phases[results.PhaseLimbo].P50NS)
	t.Logf("%s: median limbo rcu %v, tasks-trace %v: %.1f×; rcu was observed as %s", run.Target.Kernel.Release,
		time.Duration(rcu.Phases[results.PhaseLimbo].P50NS), time.Duration(tt.Phases[results.PhaseLimbo].P50NS), ratio, rcu.Strategy.Observed)
	checkKernel(t, kernel, rcu, ratio)
}

// checkKernel knows what is true of the kernels of the matrix; any other must
// only balance.
func checkKernel(t *testing.T, kernel string, rcu *results.Scenario, ratio float64) {
	t.Helper()
	expedited := rcu.Trials[0].Expedited
	switch kernel {
	case "5.10", "6.1", "6.12":
		if expedited != 0 {
			t.Errorf("%d update waits were expedited, which they are since 6.19", expedited)
		}
	case "7.2":
		if n := rcu.Phases[results.PhaseUpdateWait].N; n == 0 || expedited != n {
			t.Errorf("%d of %d update waits were expedited", expedited, n)
		}
	}
	switch kernel {
	case "5.10", "6.1":
		if rcu.Strategy.Observed == "rcu" {
			t.Error("every inner map waits for tasks-trace before 6.8, but rcu was observed")
		}
	case "6.12":
		if rcu.Strategy.Observed != "rcu" || ratio < 5 {
			t.Errorf("observed %s, tasks-trace/rcu %.2f, want rcu and at least 5", rcu.Strategy.Observed, ratio)
		}
	case "7.2":
		if rcu.Strategy.Observed != "rcu" || ratio < 1.3 || ratio > 5 {
			t.Errorf("observed %s, tasks-trace/rcu %.2f, want rcu and 1.3 to 5", rcu.Strategy.Observed, ratio)
		}
	}
}

// TestVMChurnParameters drives every outer and inner map, operation, batch,
// open loop and readers once.
func TestVMChurnParameters(t *testing.T) {
	t.Parallel()
	flags := []string{
		"--count=24 --outer=hash-of-maps --inner=hash --op=delete --slots=4",
		"--count=24 --outer=hash-of-maps-noprealloc --inner=percpu-array --slots=4 --batch=4 --inner-value-size=64",
		"--count=24 --outer=array-of-maps --inner=lru-hash --rate=1000 --readers=1 --slots=3 --inner-entries=100",
		"--duration=500ms --count=0 --outer=hash-of-maps --inner=devmap --slots=2",
		"--duration=500ms --count=0 --rate=20", // ends in the wait for the next operation
	}
	for i, f := range flags {
		flags[i] = "--strategy=tasks-trace " + f
	}
	for i, d := range trialsIn(t, "6.12", results.ClockWall, "churn", flags...) {
		args, s := flags[i], d.Scenario
		if s == nil {
			t.Errorf("%s: %s", args, d.Refused)
			continue
		}
		tr := s.Trials[0]
		if loop := map[bool]string{true: "open", false: "closed"}[strings.Contains(args, "--rate")]; s.Loop != loop {
			t.Errorf("%s: loop is %q, want %q", args, s.Loop, loop)
		}
		if batch := uint64(4); strings.Contains(args, "--batch") && tr.Puts != 24*batch {
			t.Errorf("%s: %d deaths of 24 batches of %d", args, tr.Puts, batch)
		}
		// An update waits for a grace period, which takes a tick at least.
		if strings.Contains(args, "--rate=1000") && (tr.Rate.Kept() || tr.Rate.AskedPerSecond != 1000 || tr.Rate.AchievedPerSecond <= 0 ||
			!strings.Contains(strings.Join(tr.Warnings, " "), "asked for 1000 operations a second")) {
			t.Errorf("%s: rate %+v, warnings %q", args, tr.Rate, tr.Warnings)
		}
		if tr.Ops == 0 || tr.Puts == 0 || tr.Lost+tr.InFlight != 0 || s.Phases[results.PhaseOp].N != tr.Ops {
			t.Errorf("%s: %d operations, %d latencies, %d puts, %d lost, %d in flight", args, tr.Ops, s.Phases[results.PhaseOp].N, tr.Puts, tr.Lost, tr.InFlight)
		}
		if s.Limbo.PeakBytes == 0 || s.Limbo.ByteSeconds == 0 {
			t.Errorf("%s: limbo %+v", args, s.Limbo)
		}
	}
}

// TestVMLargeOuterMap: an outer map is filled without a grace period for each slot,
// by threads and by batches, and no further than asked.
func TestVMLargeOuterMap(t *testing.T) {
	t.Parallel()
	const slots, used, batch, ops = 8192, 4096, 1024, 8
	for _, tt := range []struct {
		kernel, args string
		filled       time.Duration // slots
		deaths       uint64
		least, most  uint64 // bytes of the outer map
	}{
		{"5.10", "--outer hash-of-maps", slots, ops, slots * (64 + 16), slots * 90},
		{"6.12", fmt.Sprintf("--fill %d --batch %d", used, batch), used, ops * batch, slots * 8, slots * 9},
	} {
		began := time.Now()
		run := runVM(t, append([]string{"--kernel", tt.kernel, "--slots", fmt.Sprint(slots), "--count", fmt.Sprint(ops)}, strings.Fields(tt.args)...)...)
		took := time.Since(began)
		s := run.Scenarios[0]
		wait := time.Duration(s.Phases[results.PhaseUpdateWait].P50NS)
		t.Logf("%s %s: %v in all, an update waits for %v", tt.kernel, tt.args, took, wait)
		if one := tt.filled * wait; took > one/2 {
			t.Errorf("%s: %v in all, and updates that wait one after the other take %v", tt.kernel, took, one)
		}
		if tr := s.Trials[0]; tr.Puts != tt.deaths || tr.OuterBytes < tt.least || tr.OuterBytes > tt.most {
			t.Errorf("%s %s: %d deaths, want %d; the outer map takes %d bytes, want %d to %d", tt.kernel, tt.args, tr.Puts, tt.deaths, tr.OuterBytes, tt.least, tt.most)
		}
	}
}

// TestVMTrialsTakeTurns looks at the order, the profile and the histograms of a
// run with two strategies and two trials.
func TestVMTrialsTakeTurns(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--kernel", "6.12", "--count", "20", "--trials", "2", "--strategy", "rcu,tasks-trace", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	order := regexp.MustCompile(`\[(\d)/4\] \S+ (\S+), trial (\d): boot`).FindAllStringSubmatch(stderr, -1)
	var got []string
	for _, m := range order {
		got = append(got, m[2]+m[3])
	}
	if strings.Join(got, " ") != "rcu0 tasks-trace0 rcu1 tasks-trace1" {
		t.Errorf("order %q in\n%s", got, stderr)
	}
	for _, want := range []string{"rcu_gp", "tasks_trace_gp", "update_wait", "2 trials", "mapprof pprof " + dir} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	checkExportedHlog(t, dir)
	top := goToolPprof(t, "-top", "-sample_index=deaths", filepath.Join(dir, results.ProfileFile))
	if !strings.Contains(top, "of 80 total") || !strings.Contains(top, "[phase] tasks_trace_gp") || !strings.Contains(top, "bpf_map_put") {
		t.Errorf("go tool pprof -top:\n%s", top)
	}
	traces := goToolPprof(t, "-traces", filepath.Join(dir, results.ProfileFile))
	traces = regexp.MustCompile(`: +`).ReplaceAllString(traces, ":")
	for _, want := range []string{"strategy:rcu", "strategy:tasks-trace", "map_type:", "map_name:mp_inner", "outer:array-of-maps", "kernel:6.12", "__x64_sys_bpf"} {
		if !strings.Contains(traces, want) {
			t.Errorf("go tool pprof -traces lacks %q:\n%s", want, traces)
		}
	}
}

func TestVMDoctor(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := mapprof(t, "doctor", "--kernel", "6.12", "--kernel", "5.10", "--format", "json")
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	var found []trial.Diagnosis
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || len(found) != 2 {
		t.Fatalf("%v in %s", err, stdout)
	}
	for _, d := range found {
		if len(d.Phases) < 7 || d.Target.Kind != "vm" {
			t.Errorf("%s: phases %v", d.Target.Kernel.Release, d.Phases)
		}
		for _, p := range d.Target.Probes {
			if (p.Mechanism == "") != (p.Reason != "") {
				t.Errorf("%s: %+v", d.Target.Kernel.Release, p)
			}
		}
	}
}
