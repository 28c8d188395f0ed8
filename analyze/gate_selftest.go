// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mapprof/mapprof/results"
)

// Where the pairs of a GateRate come from.
const (
	SourceReal      = "real"      // runs of this machine
	SourceResampled = "resampled" // trials of few real runs, dealt out anew
	SourceSynthetic = "synthetic" // made up
	SourceCut       = "cut"       // a run, and what is left of it
)

// GateRate is what a gate said of many pairs of one kind.
type GateRate struct {
	Kind         string `json:"kind"`
	Source       string `json:"source"`
	Want         string `json:"want"`
	Pairs        int    `json:"pairs"`
	Pass         int    `json:"pass"`
	Regression   int    `json:"regression"`
	Inconclusive int    `json:"inconclusive"`
	// Note says what the pairs are.
	Note string `json:"note,omitempty"`
}

// Count adds one verdict.
func (r *GateRate) Count(v *Verdict) {
	r.Pairs++
	switch v.Verdict {
	case VerdictPass:
		r.Pass++
	case VerdictRegression:
		r.Regression++
	default:
		r.Inconclusive++
	}
}

// Hits is how many verdicts were the one that is wanted.
func (r *GateRate) Hits() int {
	switch r.Want {
	case VerdictPass:
		return r.Pass
	case VerdictRegression:
		return r.Regression
	}
	return r.Inconclusive
}

// SyntheticGateRate gates made-up pairs of runs on the deterministic clock:
// that many trials on each side, whose figures scatter by spread (a relative
// standard deviation), the candidate's being 1+change times the baseline's.
// Equal seeds give equal pairs.
func SyntheticGateRate(pairs, trials int, spread, change float64, p Policy, seed uint64) GateRate {
	r := rand.New(rand.NewPCG(seed, 0x6d617070726f66))
	rate := GateRate{Want: VerdictPass, Kind: "unchanged", Source: SourceSynthetic, Note: fmt.Sprintf("%d trials a side that scatter by %.3g %%", trials, 100*spread)}
	if change > 0 {
		rate.Want, rate.Kind = VerdictRegression, fmt.Sprintf("figures %+.3g %%", 100*change)
	}
	for range pairs {
		a := SyntheticRun(trials, spread, 1, ClockDeterministic, r)
		b := SyntheticRun(trials, spread, 1+change, ClockDeterministic, r)
		rate.Count(Gate(Input{"baseline", a}, Input{"candidate", b}, nil, p))
	}
	return rate
}

// SyntheticRun makes a run of one scenario up: phases of a churn and the cost
// of a lookup, each factor times what it should be and scattered by spread
// from trial to trial.
func SyntheticRun(trials int, spread, factor float64, clock string, r *rand.Rand) *results.Run {
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
			t.Phases[p.name] = syntheticStats(scatter(p.center))
		}
		t.Expedited = t.Phases[results.PhaseUpdateWait].N
		t.Limbo = results.Limbo{PeakBytes: 784, PeakMaps: 2, ByteSeconds: scatter(1400)}
		cost := scatter(3286)
		t.Metrics = map[string]results.Metric{"lookup.syscall": {N: 5000, Unit: "instructions/op", Mean: cost,
			P50: cost, P90: 1.01 * cost, P99: 1.05 * cost, Min: 0.99 * cost, Max: 2 * cost}}
		s.Trials = append(s.Trials, t)
	}
	fromTrials(&s)
	return &results.Run{SchemaVersion: results.SchemaVersion, Target: target, Targets: []results.Target{target},
		Scenarios: []results.Scenario{s}, Loss: map[string]uint64{}, Warnings: []string{}}
}

// syntheticStats has the quantiles that a histogram of such values gives.
func syntheticStats(p50 float64) results.Stats {
	bucket := func(v float64) int64 { return bucketed(int64(v)) }
	s := results.Stats{N: 100, P50NS: bucket(p50), P90NS: bucket(1.01 * p50), P99NS: bucket(1.02 * p50), MinNS: int64(0.9 * p50)}
	s.MaxNS = s.P99NS + 1
	s.MeanNS = p50
	s.SumNS = int64(100 * p50)
	return s
}

// bucketed is the value that a histogram of three digits gives back for ns:
// the highest of its bucket.
func bucketed(ns int64) int64 {
	shift := max(0, bits.Len64(uint64(ns))-11)
	return (ns>>shift+1)<<shift - 1
}

// ResampleGateRate gates pairs whose trials are drawn from the pool's: for
// every pair that many for each side, none on both. The candidate's figures
// are multiplied by 1+change. Pairs drawn from a small pool share trials, so
// the rate is rougher than from as many runs; the note says how many trials
// there are, and how many of them differ.
func ResampleGateRate(pool *results.Run, pairs, trials int, change float64, p Policy, seed uint64) (GateRate, error) {
	rate := GateRate{Want: VerdictPass, Kind: "unchanged", Source: SourceResampled}
	if change > 0 {
		rate.Want, rate.Kind = VerdictRegression, fmt.Sprintf("figures %+.3g %%", 100*change)
	}
	fewest := math.MaxInt
	for i := range pool.Scenarios {
		fewest = min(fewest, len(complete(&pool.Scenarios[i])))
	}
	if len(pool.Scenarios) == 0 || fewest < 2*trials {
		return rate, fmt.Errorf("resample: %d whole trials are too few for pairs of %d against %d", fewest, trials, trials)
	}
	rate.Note = fmt.Sprintf("%d trials a side, drawn from %d real ones, %d of them different", trials, fewest, distinctTrials(pool))
	r := rand.New(rand.NewPCG(seed, 0x726573616d706c65))
	for range pairs {
		a, b := *pool, *pool
		a.Started, b.Started = time.Time{}, time.Time{} // they are not one run
		a.Scenarios, b.Scenarios = slices.Clone(pool.Scenarios), slices.Clone(pool.Scenarios)
		for i := range pool.Scenarios {
			all := complete(&pool.Scenarios[i])
			r.Shuffle(len(all), func(x, y int) { all[x], all[y] = all[y], all[x] })
			deal(&a.Scenarios[i], all[:trials], 1)
			deal(&b.Scenarios[i], all[trials:2*trials], 1+change)
		}
		rate.Count(Gate(Input{"baseline", &a}, Input{"candidate", &b}, nil, p))
	}
	return rate, nil
}

// deal gives a scenario other trials, and numbers and counts them anew. What a
// gate doesn't read, its phases over all trials, it no longer has.
func deal(s *results.Scenario, trials []results.Trial, factor float64) {
	s.Trials, s.Phases = nil, nil
	for i, t := range trials {
		t = perturbed(t, factor)
		t.Index = i
		s.Trials = append(s.Trials, t)
	}
	fromTrials(s)
}

// distinctTrials is how many different trials the scenario with the fewest of
// them has. A deterministic clock may repeat one exactly: then many pairs are
// the same pair, and a rate says less than its number of pairs suggests.
func distinctTrials(run *results.Run) int {
	fewest := math.MaxInt
	for i := range run.Scenarios {
		seen := map[string]bool{}
		for _, t := range complete(&run.Scenarios[i]) {
			// Maps print sorted by key.
			seen[fmt.Sprint(t.Phases, t.Limbo, t.Metrics)] = true
		}
		fewest = min(fewest, len(seen))
	}
	return fewest
}

// perturbed multiplies a trial's figures, as they would have been rounded.
func perturbed(t results.Trial, factor float64) results.Trial {
	if factor == 1 {
		return t
	}
	scale := func(ns int64) int64 { return bucketed(int64(math.Round(float64(ns) * factor))) }
	phases := map[string]results.Stats{}
	for name, s := range t.Phases {
		s.P50NS, s.P90NS, s.P99NS = scale(s.P50NS), scale(s.P90NS), scale(s.P99NS)
		s.MinNS = int64(float64(s.MinNS) * factor)
		s.MaxNS = max(s.P99NS, int64(float64(s.MaxNS)*factor))
		s.MeanNS *= factor
		phases[name] = s
	}
	metrics := map[string]results.Metric{}
	for name, m := range t.Metrics {
		if m.Better != BetterHigher {
			m.Mean, m.P50, m.P90, m.P99 = m.Mean*factor, m.P50*factor, m.P90*factor, m.P99*factor
		} else {
			m.Mean, m.P50, m.P90, m.P99 = m.Mean/factor, m.P50/factor, m.P90/factor, m.P99/factor
		}
		metrics[name] = m
	}
	t.Phases, t.Metrics = phases, metrics
	t.Limbo.ByteSeconds *= factor
	return t
}
