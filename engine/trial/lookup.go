// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// timedLookups is what one probe on a lookup function counted.
type timedLookups struct {
	name, function string
	counts         probes.LookupCounts
	histogram      *hdrhistogram.Histogram
	stacks         []collect.LookupStack // empty unless asked for
}

const stageLookup = "lookup"

// Time implements workloads.Tracer. A function that this kernel can't have
// timed is a warning: the workload's own figures remain.
func (t *Trial) Time(name, function string, m *ebpf.Map, f func(workloads.Probe) (calls uint64, err error)) (err error) {
	p, err := probes.AttachLookup(probes.LookupConfig{Function: function, Map: m, Stacks: t.Job.Stacks})
	attached := probes.Attachment{Stage: stageLookup, Function: function, Mechanism: probes.MechanismFentry}
	var unsupported *probes.UnsupportedError
	if errors.As(err, &unsupported) {
		attached.Mechanism, attached.Err = "", err
		t.Probes = append(t.Probes, attached)
		t.warnings = append(t.warnings, fmt.Sprintf("%s is not timed in the kernel: %v", name, err))
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if !slices.ContainsFunc(t.Probes, func(a probes.Attachment) bool { return a.Function == function }) {
		t.Probes = append(t.Probes, attached)
	}
	calls, err := f(p)
	if err != nil {
		return err
	}
	counts, err := p.Counts()
	if err != nil {
		return err
	}
	h, err := collect.LookupHistogram(counts)
	if err != nil {
		return err
	}
	missed := uint64(0)
	for kind, n := range counts.Missed {
		missed += n
		t.outcomeLoss("lookup_"+kind, n)
	}
	if counts.Count+missed < calls || counts.Count > calls {
		return fmt.Errorf("time %s: the workload called %s %d times, the probe timed %d and missed %d", name, function, calls, counts.Count, missed)
	}
	l := timedLookups{name: name, function: function, counts: counts, histogram: h}
	if t.Job.Stacks {
		if l.stacks, err = collect.LookupStacks(p); err != nil {
			return err
		}
	}
	t.lookups = append(t.lookups, l)
	return nil
}

// metrics puts the workload's figures and the probes' into one form.
func (t *Trial) metrics() map[string]results.Metric {
	out := map[string]results.Metric{}
	for name, m := range t.Result.Metrics {
		sum := analyze.MetricOf(m.Values, m.Unit, m.How)
		sum.Difference = m.Difference
		out[name] = sum
	}
	for _, l := range t.lookups {
		out[l.name] = analyze.MetricOfHistogram(l.histogram, analyze.Exact{
			N: l.counts.Count, SumNS: int64(l.counts.SumNS), MinNS: int64(l.counts.MinNS), MaxNS: int64(l.counts.MaxNS),
		}, "fentry and fexit of "+l.function)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// lookupCosts are the samples of the trial's profile. Without stacks there is
// one for each path; with them the time is shared out by calls, the last place
// getting what is left.
func (t *Trial) lookupCosts() []profile.LookupCost {
	var out []profile.LookupCost
	for _, l := range t.lookups {
		cost := profile.LookupCost{
			Scenario: t.Job.Scenario, Path: l.name, Function: l.function,
			Lookups: l.counts.Count, SumNS: int64(l.counts.SumNS),
		}
		left := cost
		for _, s := range l.stacks {
			share := cost
			share.Stack = s.Frames
			share.Lookups = min(s.Calls, left.Lookups)
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

// outcomeLoss adds to what the trial lost.
func (t *Trial) outcomeLoss(kind string, n uint64) {
	if t.lost == nil {
		t.lost = map[string]uint64{}
	}
	t.lost[kind] += n
}

// addLoss gives the outcome what the lookup probes lost beside it.
func (t *Trial) addLoss() {
	for _, kind := range slices.Sorted(maps.Keys(t.lost)) {
		t.Outcome.Loss[kind] += t.lost[kind]
	}
}

// Calls implements workloads.Tracer. What can't be timed is a warning.
func (t *Trial) Calls(functions map[string][]string, f func() error) (_ map[string]workloads.Calls, err error) {
	attached := map[string]*probes.CallProbe{}
	out := map[string]workloads.Calls{}
	defer func() {
		for _, p := range attached {
			err = errors.Join(err, p.Close())
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		var reason error
		for _, function := range functions[name] {
			p, err := probes.AttachCalls(function)
			if err == nil {
				attached[name], out[name] = p, workloads.Calls{Function: function}
				break
			}
			reason = err
		}
		if attached[name] == nil {
			t.warnings = append(t.warnings, fmt.Sprintf("%s is not timed: %v", name, reason))
		}
	}
	if err := f(); err != nil {
		return nil, err
	}
	for name, p := range attached {
		// What f waited for may be just before the end of the call.
		if err := waitIdle(p); err != nil {
			return nil, err
		}
		ended, unseen, err := p.Calls()
		if err != nil {
			return nil, err
		}
		calls := out[name]
		calls.Unseen = unseen
		for _, c := range ended {
			calls.List = append(calls.List, workloads.Call(c))
		}
		out[name] = calls
	}
	return out, nil
}

// waitIdle waits until no call is under way, a few seconds at most: one whose
// end was missed stays so.
func waitIdle(p *probes.CallProbe) error {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if busy, err := p.UnderWay(); err != nil || !busy {
			return err
		}
	}
	return nil
}
