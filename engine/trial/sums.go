// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"maps"
	"strings"
	"sync"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/results"
)

// sums are what a trial's deaths, waits and operations add up to while they come.
// Beside operations, which have a lock, they are of one goroutine at a time. What
// they take does not grow with their number.
type sums struct {
	scenario string
	trial    int
	outer    string
	tally    *analyze.Tally
	owners   *analyze.OwnerTally
	waits    *analyze.Distribution
	limbo    analyze.LimboMeter
	profile  *profile.Builder
	// name is a map's in the kernel, short the same in results.
	name, short string

	// whole are the phases of the intervals before this one; nil: there is one interval.
	whole map[string]*analyze.Distribution

	mu    sync.Mutex
	op    *analyze.Distribution
	opErr error
}

func newSums(j *Job, params map[string]string) *sums {
	s := &sums{
		scenario: j.Scenario, trial: j.Trial, tally: analyze.NewTally(), owners: analyze.NewOwnerTally(), profile: profile.NewBuilder(),
		waits: analyze.NewDistribution(), op: analyze.NewDistribution(),
	}
	if j.Strategy != results.StrategyImmediate {
		s.outer = params["outer"]
	}
	if j.Interval > 0 {
		s.whole = map[string]*analyze.Distribution{}
	}
	return s
}

// unconfirmedNS is more than a put takes to be known for the last one.
const unconfirmedNS = 100e6

// death counts one, and completes what the kernel doesn't know of it.
func (s *sums) death(d *results.Death) error {
	d.Scenario, d.Trial = s.scenario, s.trial
	if d.Owner != nil {
		if err := s.owners.Add(d); err != nil {
			return err
		}
		return s.count(d)
	}
	d.Outer = s.outer
	if d.MapName != s.name {
		// The suffix keeps instances apart and says nothing.
		s.name = d.MapName
		s.short = strings.TrimSuffix(strings.TrimRight(d.MapName, "0123456789abcdef"), "_")
	}
	d.MapName = s.short
	return s.count(d)
}

func (s *sums) count(d *results.Death) error {
	if err := s.tally.Add(d); err != nil {
		return err
	}
	s.limbo.Death(d)
	return s.profile.Add(d)
}

func (s *sums) wait(w collect.Wait) error { return s.waits.Record(w.EndNS - w.StartNS) }

// operation counts one of the workload's. A time that can't be is told of at the
// end.
func (s *sums) operation(ns int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.op.Record(ns); err != nil && s.opErr == nil {
		s.opErr = err
	}
}

// ops are the operations so far.
func (s *sums) ops() *analyze.Distribution {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := analyze.NewDistribution()
	d.Histogram.Merge(s.op.Histogram)
	d.Exact = s.op.Exact
	return d
}

// rotate ends an interval: write takes the distribution of each phase that has values
// in it.
func (s *sums) rotate(write func(phase string, d *analyze.Distribution) error) error {
	now := s.tally.Distributions()
	now[results.PhaseUpdateWait] = s.waits
	s.mu.Lock()
	now[results.PhaseOp], s.op = s.op, analyze.NewDistribution()
	s.mu.Unlock()
	for _, phase := range results.AllPhases() {
		d := now[phase]
		if d == nil || d.Exact.N == 0 {
			continue
		}
		if err := write(phase, d); err != nil {
			return err
		}
		if s.whole[phase] == nil {
			s.whole[phase] = analyze.NewDistribution()
		}
		d.MoveTo(s.whole[phase])
	}
	return nil
}

// distributions are those of all phases that there are so far: with intervals, after
// rotate.
func (s *sums) distributions() (map[string]*analyze.Distribution, error) {
	dists := maps.Clone(s.whole)
	if dists == nil {
		dists = s.tally.Distributions()
		// No data is not zero.
		if s.waits.Exact.N > 0 {
			dists[results.PhaseUpdateWait] = s.waits
		}
		if ops := s.ops(); ops.Exact.N > 0 {
			dists[results.PhaseOp] = ops
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return dists, s.opErr
}
