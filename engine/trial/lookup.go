// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/workloads"
)

// tracer implements workloads.Tracer for one trial, and collects what it timed.
// One goroutine at a time.
type tracer struct {
	stacks   bool   // keep the callers' stacks of lookups
	seed     uint64 // of which lookups are timed; 0: a random one
	probes   []probes.Attachment
	lookups  []timedLookups
	lost     map[string]uint64 // by the probes on lookups
	warnings []string
}

// addTo adds what was timed to the trial's measurement.
func (t *tracer) addTo(m *Measurement) {
	m.Probes, m.lookups = append(m.Probes, t.probes...), t.lookups
	m.Warnings = append(m.Warnings, t.warnings...)
	for kind, n := range t.lost {
		m.Outcome.Loss[kind] += n
	}
}

// timedLookups is what one probe on a lookup function counted.
type timedLookups struct {
	name, function string
	counts         probes.LookupCounts
	began, ended   time.Time // of the calls
	histogram      *hdrhistogram.Histogram
	stacks         []collect.LookupStack // empty unless asked for
}

const stageLookup = "lookup"

// Time implements workloads.Tracer. A function that this kernel can't have
// timed is a warning: the workload's own figures remain.
func (t *tracer) Time(name, function string, m *ebpf.Map, sample uint64, f func(workloads.Probe) (calls uint64, err error)) (err error) {
	p, err := probes.AttachLookup(probes.LookupConfig{Function: function, Map: m, Stacks: t.stacks, Sample: sample, Seed: t.seed})
	attached := probes.Attachment{Stage: stageLookup, Function: function, Mechanism: probes.MechanismFentry}
	var unsupported *probes.UnsupportedError
	if errors.As(err, &unsupported) {
		attached.Mechanism, attached.Err = "", err
		t.probes = append(t.probes, attached)
		t.warnings = append(t.warnings, fmt.Sprintf("%s is not timed in the kernel: %v", name, err))
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if !slices.ContainsFunc(t.probes, func(a probes.Attachment) bool { return a.Function == function }) {
		t.probes = append(t.probes, attached)
	}
	began := time.Now()
	calls, err := f(p)
	if err != nil {
		return err
	}
	ended := time.Now()
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
		t.lose("lookup_"+kind, n)
	}
	seen := counts.Count
	if sample > 1 {
		seen = counts.Seen
	}
	if seen+missed < calls || counts.Count > calls {
		return fmt.Errorf("time %s: the workload called %s %d times, the probe saw %d, timed %d and missed %d", name, function, calls, seen, counts.Count, missed)
	}
	l := timedLookups{name: name, function: function, counts: counts, began: began, ended: ended, histogram: h}
	if t.stacks {
		if l.stacks, err = collect.LookupStacks(p); err != nil {
			return err
		}
	}
	t.lookups = append(t.lookups, l)
	return nil
}

// lose counts calls that a probe missed.
func (t *tracer) lose(kind string, n uint64) {
	if t.lost == nil {
		t.lost = map[string]uint64{}
	}
	t.lost[kind] += n
}

// Calls implements workloads.Tracer. What can't be timed is a warning.
func (t *tracer) Calls(functions map[string][]string, f func() error) (_ map[string]workloads.Calls, err error) {
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
