// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/results"
)

// Merge folds a part (what one trial gave: a run with one target, one scenario
// and one trial, though more are welcome) into the whole run dst: targets and
// stacks that are new, scenarios by their ID, trials by their index, sums of
// losses and paths, warnings once each.
//
// dst's Tool, Command, Host, Started and Ended are its own: a guest's clock
// and CPUs are not the host's. The scenarios' Phases are those of the first
// trial until Summer.Finish replaces them, since quantiles don't add up.
// After an error dst is as it was before.
func Merge(dst, part *results.Run) error {
	if err := checkPart(dst, part); err != nil {
		return fmt.Errorf("merge trial: %w", err)
	}
	targets := make([]int, len(part.Targets))
	for i := range part.Targets {
		targets[i] = mergeTarget(dst, &part.Targets[i])
	}
	for i := range part.Scenarios {
		s := part.Scenarios[i]
		s.TargetIx = targets[s.TargetIx]
		mergeScenario(dst, s)
	}
	for id, frames := range part.Stacks {
		if dst.Stacks == nil {
			dst.Stacks = map[string][]results.Frame{}
		}
		if dst.Stacks[id] == nil {
			dst.Stacks[id] = frames
		}
	}
	if part.Partial {
		dst.Partial = true
		switch {
		case dst.PartialReason == "":
			dst.PartialReason = part.PartialReason
		case part.PartialReason != "" && part.PartialReason != dst.PartialReason:
			dst.PartialReason += "; " + part.PartialReason
		}
	}
	dst.Warnings = AppendNew(dst.Warnings, part.Warnings...)
	dst.SumLoss()
	return nil
}

func checkPart(dst, part *results.Run) error {
	for i := range part.Scenarios {
		s := &part.Scenarios[i]
		if s.TargetIx < 0 || s.TargetIx >= len(part.Targets) {
			return fmt.Errorf("scenario %s names target %d of %d", s.ID, s.TargetIx, len(part.Targets))
		}
		have := dst.Find(s.ID)
		if have == nil {
			continue
		}
		if have.Workload != s.Workload || have.Kernel != s.Kernel || have.Loop != s.Loop ||
			have.Strategy.Requested != s.Strategy.Requested || !maps.Equal(have.Params, s.Params) {
			return fmt.Errorf("scenario %s isn't the one of that name: another workload, kernel, strategy or parameter", s.ID)
		}
		for _, t := range s.Trials {
			if slices.ContainsFunc(have.Trials, func(o results.Trial) bool { return o.Index == t.Index }) {
				return fmt.Errorf("trial %d of scenario %s occurs twice", t.Index, s.ID)
			}
		}
	}
	return nil
}

// mergeTarget returns the target's index in dst.
func mergeTarget(dst *results.Run, t *results.Target) int {
	for i := range dst.Targets {
		if have := &dst.Targets[i]; sameTarget(have, t) {
			if !reflect.DeepEqual(Attached(have), Attached(t)) {
				dst.Warnings = AppendNew(dst.Warnings,
					fmt.Sprintf("%s: the probes didn't attach alike in every trial", t.Kernel.Release))
			}
			return i
		}
	}
	if len(dst.Targets) == 0 {
		dst.Target = *t
	}
	dst.Targets = append(dst.Targets, *t)
	return len(dst.Targets) - 1
}

func sameTarget(a, b *results.Target) bool {
	ka, kb := &a.Kernel, &b.Kernel
	return a.Kind == b.Kind && a.Arch == b.Arch && a.Accel == b.Accel && a.Clock == b.Clock && a.CPUs == b.CPUs && a.CPUsAllowed == b.CPUsAllowed && a.QEMU == b.QEMU &&
		ka.Requested == kb.Requested && ka.Release == kb.Release && ka.Build == kb.Build && ka.SHA256 == kb.SHA256
}

func Attached(t *results.Target) map[string]string {
	m := map[string]string{}
	for _, p := range t.Probes {
		m[p.Name+"\x00"+p.Function] = p.Mechanism
	}
	return m
}

func mergeScenario(dst *results.Run, s results.Scenario) {
	have := dst.Find(s.ID)
	if have == nil {
		s.Trials = slices.Clone(s.Trials)
		s.Warnings = AppendNew(nil, s.Warnings...)
		dst.Scenarios = append(dst.Scenarios, s)
		have = &dst.Scenarios[len(dst.Scenarios)-1]
	} else {
		have.Trials = append(have.Trials, s.Trials...)
		have.Warnings = AppendNew(have.Warnings, s.Warnings...)
	}
	slices.SortStableFunc(have.Trials, func(a, b results.Trial) int { return a.Index - b.Index })
	SumTrials(have)
}

// SumTrials derives what a scenario has from its trials, phases aside.
func SumTrials(s *results.Scenario) {
	s.Loss = map[string]uint64{}
	s.Limbo = results.Limbo{}
	s.Strategy.Paths = map[string]uint64{}
	metrics := map[string][]results.Metric{}
	for _, t := range s.Trials {
		AddCounts(s.Loss, t.Loss)
		AddCounts(s.Strategy.Paths, t.Paths)
		s.Limbo.PeakBytes = max(s.Limbo.PeakBytes, t.Limbo.PeakBytes)
		s.Limbo.PeakMaps = max(s.Limbo.PeakMaps, t.Limbo.PeakMaps)
		s.Limbo.ByteSeconds += t.Limbo.ByteSeconds
		for name, m := range t.Metrics {
			metrics[name] = append(metrics[name], m)
		}
	}
	s.Strategy.Observed = Observed(s.Strategy.Paths)
	s.Metrics = nil
	for name, ms := range metrics {
		if s.Metrics == nil {
			s.Metrics = map[string]results.Metric{}
		}
		s.Metrics[name] = mergeMetrics(ms)
	}
}

// mergeMetrics makes one metric of its trials': n adds up, minimum and maximum
// are over all, the mean is weighted by n, a quantile is the median of the
// trials' quantiles, and as coarse as the coarsest of them.
func mergeMetrics(ms []results.Metric) results.Metric {
	out := ms[0]
	if len(ms) == 1 {
		return out
	}
	out.N, out.Seen, out.Mean = 0, 0, 0
	out.P50, out.P90, out.P99 = 0, 0, 0
	var p50, p90, p99 []float64
	for _, m := range ms {
		out.Seen += m.Seen
		if m.N == 0 {
			continue
		}
		if out.N == 0 {
			out.Min, out.Max = m.Min, m.Max
		}
		out.N += m.N
		out.BucketWidth = max(out.BucketWidth, m.BucketWidth)
		out.Min, out.Max = min(out.Min, m.Min), max(out.Max, m.Max)
		out.Mean += (m.Mean - out.Mean) * float64(m.N) / float64(out.N)
		p50, p90, p99 = append(p50, m.P50), append(p90, m.P90), append(p99, m.P99)
	}
	if out.N > 0 {
		out.P50, out.P90, out.P99 = median.Of(p50), median.Of(p90), median.Of(p99)
	}
	return out
}

func AddCounts(dst, src map[string]uint64) {
	for k, v := range src {
		dst[k] += v
	}
}

// AppendNew appends what isn't there yet.
func AppendNew(dst []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(dst, s) {
			dst = append(dst, s)
		}
	}
	return dst
}

// CheckBalance returns an error that names every trial in which
// puts = freed + in flight + lost doesn't hold.
func CheckBalance(run *results.Run) error {
	var errs []error
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			if err := t.Balance(); err != nil {
				errs = append(errs, fmt.Errorf("scenario %s: %w", s.ID, err))
			}
		}
	}
	return errors.Join(errs...)
}
