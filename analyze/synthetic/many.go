// SPDX-License-Identifier: Apache-2.0

package synthetic

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// manyTrials and two phases: histograms.hlog holds 65,536 histograms, those of 10,922
// such scenarios.
const manyTrials = 3

// WriteMany writes a run directory of n scenarios of churn that differ in a parameter,
// each of three trials, with their histograms if those are asked for, which take most
// of the time. Equal seeds give equal ones.
func WriteMany(dir string, n int, seed uint64, histograms bool) error {
	w, err := results.Create(dir)
	if err != nil {
		return err
	}
	defer w.Abort()
	began := time.Unix(1_700_000_000, 0).UTC().AddDate(0, 0, int(seed))
	target := results.Target{Kind: "vm", Accel: "tcg", Clock: results.ClockICount, CPUs: 1, Kernel: results.Kernel{Release: "synthetic"}}
	m := many{histograms: histograms, w: w, r: rand.New(rand.NewPCG(seed, 1)), began: began, one: analyze.NewDistribution(), all: map[string]*analyze.Distribution{}}
	for _, phase := range manyPhases {
		m.all[phase] = analyze.NewDistribution()
	}
	run := &results.Run{Started: began, Ended: began, Target: target, Targets: []results.Target{target}}
	for i := range n {
		s, err := m.scenario(i)
		if err != nil {
			return err
		}
		run.Scenarios = append(run.Scenarios, s)
	}
	run.SumLoss()
	return w.Finish(run)
}

var manyPhases = []string{results.PhaseLimbo, results.PhaseOp}

// many makes the scenarios of a run up, one by one.
type many struct {
	histograms bool
	w          *results.Writer
	r          *rand.Rand
	began      time.Time
	one        *analyze.Distribution            // of a trial
	all        map[string]*analyze.Distribution // of a scenario's phases
}

// scenario makes the scenario of a number up, and writes its histograms.
func (m *many) scenario(number int) (results.Scenario, error) {
	const deaths = 100
	s := results.Scenario{ID: fmt.Sprintf("churn/%d", number), Workload: "churn", Loop: "closed", Kernel: "synthetic",
		Params: map[string]string{"count": strconv.Itoa(deaths), "slots": strconv.Itoa(number + 1)}, Phases: map[string]results.Stats{},
		Strategy: results.Strategy{Requested: results.StrategyImmediate, Observed: results.StrategyImmediate}}
	for i := range manyTrials {
		t := results.Trial{Index: i, Started: m.began, Puts: deaths, Freed: deaths, Expected: deaths, Ops: deaths, DurationNS: deaths * 100_000,
			Phases: map[string]results.Stats{}, Paths: map[string]uint64{results.StrategyImmediate: deaths}, Loss: map[string]uint64{},
			Limbo: results.Limbo{PeakBytes: 784, PeakMaps: 2, ByteSeconds: 1 + m.r.Float64()/100}}
		for _, phase := range manyPhases {
			for range deaths {
				if err := m.one.Record(40_000 + m.r.Int64N(400)); err != nil {
					return s, err
				}
			}
			t.Phases[phase] = m.one.Stats()
			if m.histograms {
				if err := m.w.Histogram(results.Tag(s.ID, i, phase), m.one.Histogram, m.began, m.began); err != nil {
					return s, err
				}
			}
			m.one.MoveTo(m.all[phase])
		}
		s.Trials = append(s.Trials, t)
	}
	analyze.SumTrials(&s)
	for phase, d := range m.all {
		s.Phases[phase] = d.Stats()
		d.Histogram.Reset()
		d.Exact = analyze.Exact{}
	}
	return s, nil
}
