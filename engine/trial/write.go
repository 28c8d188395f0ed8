// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// write turns what was measured into a run directory.
func (t *Trial) write(w *results.Writer) error {
	scenario, dists, err := t.scenario()
	if err != nil {
		return err
	}
	now := time.Now()
	run := &results.Run{
		Tool: ToolInfo(), Host: HostInfo(), Started: t.Begin, Ended: now,
		Stacks: t.Outcome.Stacks, Scenarios: []results.Scenario{scenario}, Warnings: []string{},
		Targets: []results.Target{t.target()},
	}
	run.Target = run.Targets[0]
	if t.Result.Interrupted {
		run.Partial, run.PartialReason = true, "interrupted"
	}
	run.SumLoss()
	for _, phase := range results.AllPhases() {
		d := dists[phase]
		if d == nil {
			continue
		}
		if err := w.Histogram(results.Tag(t.Job.Scenario, t.Job.Trial, phase), d.Histogram, t.Begin, now); err != nil {
			return err
		}
	}
	for _, l := range t.lookups {
		if err := w.Histogram(results.Tag(t.Job.Scenario, t.Job.Trial, l.name), l.histogram, t.Begin, now); err != nil {
			return err
		}
	}
	builder := profile.NewBuilder()
	if !t.Job.NoDeaths {
		if err := w.KeepDeaths(); err != nil {
			return err
		}
	}
	for i := range t.Outcome.Deaths {
		d := &t.Outcome.Deaths[i]
		if err := builder.Add(d); err != nil {
			return err
		}
		if t.Job.NoDeaths {
			continue
		}
		if err := w.Death(d); err != nil {
			return err
		}
	}
	var p *pprof.Profile
	if len(t.lookups) > 0 && builder.N() == 0 {
		p, err = profile.OfLookups(t.lookupCosts(), profile.MetaOf(run))
	} else {
		p, err = builder.Build(t.Outcome.Stacks, profile.MetaOf(run))
	}
	if err != nil {
		return err
	}
	var gz bytes.Buffer
	if err := profile.Write(&gz, p); err != nil {
		return err
	}
	if err := w.Profile(gz.Bytes()); err != nil {
		return err
	}
	return w.Finish(run)
}

// scenario makes the scenario with its one trial, and the distributions that
// stand behind its figures.
func (t *Trial) scenario() (results.Scenario, map[string]*analyze.Distribution, error) {
	_, flags, err := t.Job.Load()
	if err != nil {
		return results.Scenario{}, nil, err
	}
	params, o := workloads.Params(flags), t.Outcome
	for i := range o.Deaths {
		o.Deaths[i].Scenario, o.Deaths[i].Trial = t.Job.Scenario, t.Job.Trial
		// The suffix keeps instances apart and says nothing.
		o.Deaths[i].MapName = strings.TrimRight(o.Deaths[i].MapName, "0123456789abcdef")
		o.Deaths[i].MapName = strings.TrimSuffix(o.Deaths[i].MapName, "_")
		if t.Job.Strategy != workloads.StrategyImmediate {
			o.Deaths[i].Outer = params["outer"]
		}
	}
	dists, err := analyze.DistributionsOf(o.Deaths)
	if err != nil {
		return results.Scenario{}, nil, err
	}
	err = errors.Join(
		addDistribution(dists, results.PhaseUpdateWait, o.UpdateWaitNS),
		addDistribution(dists, results.PhaseOp, t.Result.OpNS))
	if err != nil {
		return results.Scenario{}, nil, err
	}
	phases := map[string]results.Stats{}
	for name, d := range dists {
		phases[name] = d.Stats()
	}
	limbo, timeline := analyze.LimboOf(analyze.SpansOf(o.Deaths, o.Pending, o.AtNS))
	tr := results.Trial{
		Index: t.Job.Trial, Puts: o.Puts, Freed: o.Freed, InFlight: o.InFlight, Lost: o.Lost,
		Expected: t.Result.LastPuts, Excluded: o.Excluded, Ops: t.Result.Ops,
		DurationNS: uint64(t.Measured.Nanoseconds()), StartPhaseNS: t.Job.StartPhase.Nanoseconds(), Phases: phases, Expedited: o.Expedited, Limbo: limbo, Timeline: timeline,
		GracePeriods: o.GracePeriods[:min(len(o.GracePeriods), results.MaxGracePeriods)],
		Paths:        o.Paths, Loss: o.Loss, Warnings: t.warnings, Partial: t.Result.Interrupted,
	}
	tr.Failures, tr.Findings, tr.Metrics = t.Result.Failures, t.Result.Findings, t.metrics()
	tr.Warnings = append(tr.Warnings, t.Result.Warnings...)
	if n := len(o.Pending); n > 0 {
		tr.Pending = &results.Pending{N: uint64(n), MinNS: 1 << 62}
		for _, d := range o.Pending {
			age := o.AtNS - d.PutNS
			tr.Pending.MinNS, tr.Pending.MaxNS = min(tr.Pending.MinNS, age), max(tr.Pending.MaxNS, age)
		}
	}
	s := results.Scenario{
		ID: t.Job.Scenario, Workload: t.Job.Workload, Params: params, Loop: t.Result.Loop, Kernel: Release(),
		Strategy: results.Strategy{Requested: t.Job.Strategy, Observed: analyze.Observed(o.Paths), Paths: o.Paths},
		Phases:   phases, Limbo: limbo, Metrics: tr.Metrics, Trials: []results.Trial{tr}, Loss: o.Loss, Warnings: tr.Warnings,
	}
	return s, dists, nil
}

// addDistribution leaves out what has no values: no data is not zero.
func addDistribution(dists map[string]*analyze.Distribution, phase string, values []int64) error {
	if len(values) == 0 {
		return nil
	}
	d := analyze.NewDistribution()
	for _, v := range values {
		if err := d.Record(v); err != nil {
			return err
		}
	}
	dists[phase] = d
	return nil
}

// target describes the kernel that this process runs on, as a local one; who
// started a VM knows what else there is to say.
func (t *Trial) target() results.Target {
	return results.Target{
		Kind: "local", Accel: "none", Clock: "wall", CPUs: runtime.NumCPU(), MemoryBytes: memTotal(),
		Kernel: results.Kernel{Release: Release(), Build: unameString(func(u *unix.Utsname) []byte { return u.Version[:] }),
			Cmdline: readLine("/proc/cmdline"), Knobs: t.knobs},
		Probes: probeList(t.Probes),
	}
}

func probeList(attachments []probes.Attachment) []results.Probe {
	list := make([]results.Probe, 0, len(attachments))
	for _, a := range attachments {
		p := results.Probe{Name: a.Stage, Function: a.Function, Mechanism: a.Mechanism, Required: a.Required}
		if a.Err != nil {
			p.Reason = a.Err.Error()
		}
		list = append(list, p)
	}
	return list
}

// readKnobs reads what of the kernel's settings changes grace periods.
func readKnobs() map[string]string {
	knobs := map[string]string{}
	for _, glob := range []string{
		"/sys/module/rcupdate/parameters/rcu_expedited", "/sys/module/rcupdate/parameters/rcu_normal",
		"/sys/module/rcupdate/parameters/rcu_tasks_*", "/sys/module/rcutree/parameters/jiffies_till_*_fqs",
		"/sys/module/rcutree/parameters/rcu_resched_ns", "/sys/kernel/rcu_expedited", "/sys/kernel/rcu_normal",
		"/sys/devices/system/cpu/smt/active",
	} {
		files, _ := filepath.Glob(glob)
		for _, f := range files {
			if v := readLine(f); v != "" {
				knobs[strings.TrimPrefix(strings.TrimPrefix(f, "/sys/"), "module/")] = v
			}
		}
	}
	if v := readLine("/sys/kernel/debug/sched/preempt"); v != "" {
		knobs["sched/preempt"] = v
	}
	return knobs
}

func readLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}
