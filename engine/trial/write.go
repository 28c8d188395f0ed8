// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	pprof "github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// write turns what was measured into a run directory.
func (m *Measurement) write(w *results.Writer) error {
	if m.log != nil {
		if err := m.rotate(); err != nil {
			return err
		}
	}
	scenario, dists, err := m.scenario()
	if err != nil {
		return err
	}
	now := time.Now()
	run := &results.Run{
		Tool: ToolInfo(), Host: HostInfo(), Started: m.Began, Ended: now,
		Stacks: m.Outcome.Stacks, Scenarios: []results.Scenario{scenario}, Warnings: []string{},
		Targets: []results.Target{m.target()},
	}
	run.Target = run.Targets[0]
	if m.Result.Interrupted {
		run.Partial, run.PartialReason = true, "interrupted"
	}
	run.SumLoss()
	if m.log == nil {
		err = m.writeHistograms(w, dists)
	} else { // those of the phases are written
		run.IntervalNS = m.Job.Interval.Nanoseconds()
		err = errors.Join(m.writeHistograms(m.log, nil), m.log.end(w))
	}
	if err != nil {
		return err
	}
	var p *pprof.Profile
	if len(m.lookups) > 0 && m.sums.profile.N() == 0 {
		p, err = profile.OfLookups(m.lookupCosts(), profile.MetaOf(run))
	} else {
		p, err = m.sums.profile.Build(m.Outcome.Stacks, profile.MetaOf(run))
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

// histogramWriter is a results.Writer, or a histogramsFile.
type histogramWriter interface {
	Histogram(tag string, h *hdrhistogram.Histogram, start, end time.Time) error
}

// writeHistograms writes one for each phase, each timed function and each metric of
// the workload that is a time, with the interval that its values are of.
func (m *Measurement) writeHistograms(w histogramWriter, dists map[string]*analyze.Distribution) error {
	for _, phase := range results.AllPhases() {
		d := dists[phase]
		if d == nil {
			continue
		}
		if err := w.Histogram(results.Tag(m.Job.Scenario, m.Job.Trial, phase), d.Histogram, m.Measured, m.Drained); err != nil {
			return err
		}
	}
	for _, l := range m.lookups {
		if err := w.Histogram(results.Tag(m.Job.Scenario, m.Job.Trial, l.name), l.histogram, l.began, l.ended); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Result.Metrics)) {
		figure := m.Result.Metrics[name]
		h, err := picoseconds(figure)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if h == nil {
			continue
		}
		tag := results.Tag(m.Job.Scenario, m.Job.Trial, name+results.PicosecondsSuffix)
		began, ended := m.Measured, m.Measured.Add(m.Duration)
		if !figure.Began.IsZero() {
			began, ended = figure.Began, figure.Ended
		}
		if err := w.Histogram(tag, h, began, ended); err != nil {
			return err
		}
	}
	return nil
}

// picoseconds returns the histogram of a metric, or nil where it isn't a time or has a
// value that no histogram holds: a negative difference, or more than an hour.
func picoseconds(figure workloads.Metric) (*hdrhistogram.Histogram, error) {
	if figure.Unit != "ns" && figure.Unit != "ns/op" || len(figure.Values) == 0 {
		return nil, nil
	}
	h := results.NewPicosecondHistogram()
	for _, ns := range figure.Values {
		ps := math.Round(1000 * ns)
		if !(ps >= 0 && ps <= float64(h.HighestTrackableValue())) {
			return nil, nil
		}
		if err := h.RecordValue(int64(ps)); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// metrics puts the workload's figures and the probes' into one form.
func (m *Measurement) metrics() map[string]results.Metric {
	out := map[string]results.Metric{}
	for name, figure := range m.Result.Metrics {
		sum := analyze.MetricOf(figure.Values, figure.Unit, figure.How)
		sum.Difference = figure.Difference
		out[name] = sum
	}
	for _, l := range m.lookups {
		m := analyze.MetricOfHistogram(l.histogram, analyze.Exact{
			N: l.counts.Count, SumNS: int64(l.counts.SumNS), MinNS: int64(l.counts.MinNS), MaxNS: int64(l.counts.MaxNS),
		}, "fentry and fexit of "+l.function+", a part of both included; compare it with other functions, not with the path")
		if l.counts.Sample > 1 {
			m.Sample, m.Seen = l.counts.Sample, l.counts.Seen
			m.How += fmt.Sprintf("; one call in %d is timed, at random gaps", m.Sample)
		}
		out[l.name] = m
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// lookupCosts are the samples of the trial's profile. Without stacks there is
// one for each path; with them the time is shared out by calls, the last place
// getting what is left.
func (m *Measurement) lookupCosts() []profile.LookupCost {
	var out []profile.LookupCost
	for _, l := range m.lookups {
		cost := profile.LookupCost{
			Scenario: m.Job.Scenario, Path: l.name, Function: l.function,
			Lookups: l.counts.Count, SumNS: int64(l.counts.SumNS),
		}
		left, all := cost, uint64(0)
		for _, s := range l.stacks {
			all += s.Calls
		}
		for _, s := range l.stacks {
			share := cost
			share.Stack = s.Frames
			calls := s.Calls
			if l.counts.Sample > 1 { // all calls are counted by stack, and some are timed
				calls = uint64(math.Round(float64(cost.Lookups) * float64(s.Calls) / float64(max(1, all))))
			}
			share.Lookups = min(calls, left.Lookups)
			share.SumNS = int64(float64(cost.SumNS) * float64(share.Lookups) / float64(max(1, cost.Lookups)))
			left.Lookups, left.SumNS = left.Lookups-share.Lookups, left.SumNS-share.SumNS
			out = append(out, share)
		}
		if left.Lookups > 0 || len(l.stacks) == 0 {
			out = append(out, left)
		} else {
			out[len(out)-1].SumNS += left.SumNS
		}
	}
	return out
}

// scenario makes the scenario with its one trial, and the distributions that
// stand behind its figures.
func (m *Measurement) scenario() (results.Scenario, map[string]*analyze.Distribution, error) {
	params, o := m.params, m.Outcome
	dists, err := m.sums.distributions()
	if err != nil {
		return results.Scenario{}, nil, err
	}
	phases := map[string]results.Stats{}
	for name, d := range dists {
		phases[name] = d.Stats()
	}
	limbo, timeline := m.sums.limbo.Clone().FinishAt(o.AtNS, o.Pending)
	tr := results.Trial{
		Index: m.Job.Trial, Puts: o.Puts, Freed: o.Freed, InFlight: o.InFlight, Lost: o.Lost,
		Expected: m.Result.LastPuts, Excluded: o.Excluded, Ops: m.Result.Ops,
		Started: m.Measured, DurationNS: uint64(m.Duration.Nanoseconds()), StartPhaseNS: m.Job.StartPhase.Nanoseconds(), Phases: phases, Expedited: o.Expedited, Limbo: limbo, Timeline: timeline,
		GracePeriods: o.GracePeriods, MemAvailableMinBytes: m.memory.least(),
		Paths: o.Paths, Loss: o.Loss, Warnings: m.Warnings, Partial: m.Result.Interrupted,
	}
	tr.OuterBytes = m.Result.OuterBytes
	tr.Owners, tr.PutsUnseen = m.sums.owners.Sums(), o.PutsUnseen
	tr.Stuck, tr.MoreStuck = o.Stuck, o.MoreStuck
	if o.Live != nil {
		tr.Live, tr.MaxRSSBytes, tr.RSS = o.Live, maxRSS(), m.memory.rss()
		startup := m.startup
		startup.InventoryNS = o.Live.Start.TookNS
		tr.Startup = &startup
	}
	if m.file != nil && m.file.notKept > 0 {
		tr.DeathsNotKept = m.file.notKept
		tr.Warnings = append(slices.Clone(tr.Warnings), fmt.Sprintf("%d of %d deaths are kept one by one (--deaths-limit): all other figures are of all", phases[results.PhaseLimbo].N-tr.DeathsNotKept, phases[results.PhaseLimbo].N))
	}
	if c := m.Result.Command; c != nil {
		tr.Command = &results.Command{Args: c.Args, ExitCode: c.ExitCode, Signal: c.Signal, Stopped: c.Stopped}
	}
	if m.Result.AskedRate > 0 {
		tr.Rate = &results.Rate{AskedPerSecond: m.Result.AskedRate, AchievedPerSecond: m.Result.AchievedRate}
		if !tr.Rate.Kept() {
			m.Warnings = append(m.Warnings, fmt.Sprintf(
				"asked for %.4g operations a second, achieved %.4g: the figures are of that lower rate (ask for less, or --batch more into one operation)",
				tr.Rate.AskedPerSecond, tr.Rate.AchievedPerSecond))
			tr.Warnings = m.Warnings
		}
	}
	tr.Failures, tr.Findings, tr.Metrics = m.Result.Failures, m.Result.Findings, m.metrics()
	tr.Warnings = append(tr.Warnings, m.Result.Warnings...)
	if n := len(o.Pending); n > 0 {
		tr.Pending = &results.Pending{N: uint64(n), MinNS: 1 << 62}
		for _, d := range o.Pending {
			age := max(0, o.AtNS-d.PutNS) // dropped after that moment, maybe
			tr.Pending.MinNS, tr.Pending.MaxNS = min(tr.Pending.MinNS, age), max(tr.Pending.MaxNS, age)
		}
	}
	s := results.Scenario{
		ID: m.Job.Scenario, Workload: m.Job.Workload, Params: params, Loop: m.Result.Loop, Kernel: Release(),
		Strategy: results.Strategy{Requested: m.Job.Strategy, Observed: analyze.Observed(o.Paths), Paths: o.Paths},
		Phases:   phases, Limbo: limbo, Metrics: tr.Metrics, Trials: []results.Trial{tr}, Loss: o.Loss, Warnings: tr.Warnings,
	}
	return s, dists, nil
}

// target describes the kernel that this process runs on, as a local one; who
// started a VM knows what else there is to say.
func (m *Measurement) target() results.Target {
	return results.Target{
		Kind: "local", Arch: runtime.GOARCH, Accel: "none", Clock: results.ClockWall, CPUs: onlineCPUs(), CPUsAllowed: runtime.NumCPU(), MemoryBytes: memTotal(),
		Kernel: results.Kernel{Release: Release(), Build: unameString(func(u *unix.Utsname) []byte { return u.Version[:] }),
			Cmdline: readLine("/proc/cmdline"), Knobs: m.knobs},
		Probes: probeList(m.Probes),
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

// readKnobs reads the kernel's settings that change grace periods.
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
