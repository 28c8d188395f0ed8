// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"fmt"
	"maps"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// Summer makes the scenarios' statistics of their trials': it merges the
// trials' histograms as they come and keeps one per scenario and phase.
type Summer struct {
	merged map[scenarioPhase]*hdrhistogram.Histogram
	counts map[trialPhase]int64
}

type scenarioPhase struct{ scenario, phase string }

type trialPhase struct {
	scenarioPhase
	trial int
}

// NewSummer returns an empty one.
func NewSummer() *Summer {
	return &Summer{merged: map[scenarioPhase]*hdrhistogram.Histogram{}, counts: map[trialPhase]int64{}}
}

// Clone returns a copy that knows nothing of what is added later.
func (s *Summer) Clone() *Summer {
	c := NewSummer()
	for key, h := range s.merged {
		c.merged[key] = hdrhistogram.Import(h.Export())
	}
	maps.Copy(c.counts, s.counts)
	return c
}

// AddHistogram adds one trial's histogram of a phase. It keeps no reference to
// h. A value that the common geometry can't hold is an error, not a loss.
func (s *Summer) AddHistogram(scenario, phase string, trial int, h *hdrhistogram.Histogram) error {
	key := scenarioPhase{scenario, phase}
	one := trialPhase{key, trial}
	if _, ok := s.counts[one]; ok {
		return fmt.Errorf("merge histograms: %s occurs twice", results.Tag(scenario, trial, phase))
	}
	sum := s.merged[key]
	if sum == nil {
		sum = results.NewHistogram()
		s.merged[key] = sum
	}
	s.counts[one] = h.TotalCount()
	if dropped := sum.Merge(h); dropped != 0 {
		return fmt.Errorf("merge histograms: %s holds %d values above %d ns", results.Tag(scenario, trial, phase), dropped, results.HistogramMaxNS)
	}
	return nil
}

// Finish completes a run that Merge put together: each scenario's Phases from
// the merged histograms and the trials' exact values, everything else of it
// from its trials, the run's loss, and at the top of its warnings where the
// kernel took another path than was asked for. It is an error when a trial and
// its histogram don't agree on their number of values. Call it once, last.
func (s *Summer) Finish(run *results.Run) error {
	for i := range run.Scenarios {
		sc := &run.Scenarios[i]
		SumTrials(sc)
		exact := map[string]Exact{}
		for _, t := range sc.Trials {
			for phase, stats := range t.Phases {
				if n := s.counts[trialPhase{scenarioPhase{sc.ID, phase}, t.Index}]; uint64(n) != stats.N {
					return fmt.Errorf("merge histograms: %s holds %d values, its trial counted %d",
						results.Tag(sc.ID, t.Index, phase), n, stats.N)
				}
				e := exact[phase]
				e.Add(ExactOf(stats))
				exact[phase] = e
			}
		}
		sc.Phases = map[string]results.Stats{}
		for phase, e := range exact {
			if e.N > 0 {
				sc.Phases[phase] = StatsOf(s.merged[scenarioPhase{sc.ID, phase}], e)
			}
		}
	}
	run.SumLoss()
	run.Warnings = AppendNew(Mismatches(run), run.Warnings...)
	return nil
}
