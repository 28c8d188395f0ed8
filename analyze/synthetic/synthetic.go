// SPDX-License-Identifier: Apache-2.0

package synthetic

import (
	"math/bits"
	"math/rand/v2"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// Run makes a run of one scenario up: phases of a churn and the cost
// of a lookup, each factor times what it should be and scattered by spread
// from trial to trial.
func Run(trials int, spread, factor float64, clock string, r *rand.Rand) *results.Run {
	target := results.Target{Kind: "vm", Accel: "tcg", Clock: clock, CPUs: 1, Kernel: results.Kernel{Release: "synthetic"}}
	s := results.Scenario{
		ID: "synthetic", Workload: "synthetic", Loop: "closed", Kernel: "synthetic", Params: map[string]string{},
		Strategy: results.Strategy{Requested: "rcu"},
	}
	scatter := func(center float64) float64 { return max(0, center*factor*(1+spread*r.NormFloat64())) }
	for i := range trials {
		t := results.Trial{Index: i, Puts: 100, Freed: 100, Expected: 100, Ops: 100, Phases: map[string]results.Stats{},
			Paths: map[string]uint64{"rcu": 100}, Loss: map[string]uint64{}}
		for _, p := range []struct {
			name   string
			center float64
		}{{results.PhaseRCUGP, 11.9e6}, {results.PhaseQueue, 8e3}, {results.PhaseLimbo, 12e6}, {results.PhaseUpdateWait, 11.9e6}, {results.PhaseOp, 12e6}} {
			t.Phases[p.name] = Stats(scatter(p.center))
		}
		t.Expedited = t.Phases[results.PhaseUpdateWait].N
		t.Phases[results.PhaseLimbo] = noShorter(t.Phases[results.PhaseLimbo], t.Phases[results.PhaseRCUGP], t.Phases[results.PhaseQueue])
		t.Limbo = results.Limbo{PeakBytes: 784, PeakMaps: 2, ByteSeconds: scatter(1400)}
		cost := scatter(3286)
		t.Metrics = map[string]results.Metric{"lookup.syscall": {N: 5000, Unit: "instructions/op", Mean: cost,
			P50: cost, P90: 1.01 * cost, P99: 1.05 * cost, Min: 0.99 * cost, Max: 2 * cost}}
		t.DurationNS = uint64(scatter(100 * 12e6))
		s.Trials = append(s.Trials, t)
	}
	analyze.SumTrials(&s)
	return &results.Run{SchemaVersion: results.SchemaVersion, Target: target, Targets: []results.Target{target},
		Scenarios: []results.Scenario{s}, Loss: map[string]uint64{}, Warnings: []string{},
		Files: map[string]results.File{}}
}

// noShorter makes a whole last as long in all as its parts, which scatter on
// their own.
func noShorter(whole results.Stats, parts ...results.Stats) results.Stats {
	var sum int64
	for _, p := range parts {
		sum += p.SumNS
	}
	if sum > whole.SumNS {
		whole.SumNS, whole.MeanNS = sum, float64(sum)/float64(whole.N)
		whole.MaxNS = max(whole.MaxNS, sum/int64(whole.N)+1)
	}
	return whole
}

// Seeded is Run with a generator of its own: equal seeds give
// equal runs.
func Seeded(trials int, spread, factor float64, clock string, seed uint64) *results.Run {
	return Run(trials, spread, factor, clock, rand.New(rand.NewPCG(seed, 0)))
}

// Stats has the quantiles that a histogram of such values gives.
func Stats(p50 float64) results.Stats {
	bucket := func(v float64) int64 { return Bucketed(int64(v)) }
	s := results.Stats{N: 100, P50NS: bucket(p50), P90NS: bucket(1.01 * p50), P99NS: bucket(1.02 * p50), MinNS: int64(0.9 * p50)}
	s.MaxNS = int64(1.03 * p50)
	s.MeanNS = p50
	s.SumNS = int64(100 * p50)
	return s
}

// Bucketed is the value that a histogram of three digits gives back for ns:
// the highest of its bucket.
func Bucketed(ns int64) int64 {
	shift := max(0, bits.Len64(uint64(ns))-11)
	return (ns>>shift+1)<<shift - 1
}
