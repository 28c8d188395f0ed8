// SPDX-License-Identifier: Apache-2.0

package selftest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// Where the pairs of a Rate come from.
const (
	SourceReal      = "real"      // runs of this machine
	SourceResampled = "resampled" // trials of few real runs, dealt out anew
	SourceSynthetic = "synthetic" // made up
	SourceCut       = "cut"       // a run, and what is left of it
)

// Rate is what a gate said of many pairs of one kind.
type Rate struct {
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
func (r *Rate) Count(v *gate.Verdict) {
	r.Pairs++
	switch v.Verdict {
	case gate.VerdictPass:
		r.Pass++
	case gate.VerdictRegression:
		r.Regression++
	default:
		r.Inconclusive++
	}
}

// Interval is the exact 95 % confidence interval of a rate of which n of the
// pairs were seen.
func (r *Rate) Interval(n int) (lo, hi float64) { return analyze.ExactInterval(n, r.Pairs, 0.95) }

// Hits is how many verdicts were the one that is wanted.
func (r *Rate) Hits() int {
	switch r.Want {
	case gate.VerdictPass:
		return r.Pass
	case gate.VerdictRegression:
		return r.Regression
	}
	return r.Inconclusive
}

// SyntheticRate gates made-up pairs of runs on the deterministic clock:
// that many trials on each side, whose figures scatter by spread (a relative
// standard deviation), the candidate's being 1+change times the baseline's.
// Equal seeds give equal pairs.
func SyntheticRate(pairs, trials int, spread, change float64, p gate.Policy, seed uint64) Rate {
	r := rand.New(rand.NewPCG(seed, 0x6d617070726f66))
	rate := Rate{Want: gate.VerdictPass, Kind: "unchanged", Source: SourceSynthetic, Note: fmt.Sprintf("%d trials a side that scatter by %.3g %%", trials, 100*spread)}
	if change > 0 {
		rate.Want, rate.Kind = gate.VerdictRegression, fmt.Sprintf("figures %+.3g %%", 100*change)
	}
	for range pairs {
		a := synthetic.Run(trials, spread, 1, results.ClockICount, r)
		b := synthetic.Run(trials, spread, 1+change, results.ClockICount, r)
		rate.Count(gate.Judge(compare.Input{Name: "baseline", Run: a}, compare.Input{Name: "candidate", Run: b}, nil, p))
	}
	return rate
}

// ResampledRate gates pairs whose trials are drawn from the pool's: for
// every pair that many for each side, none on both. The candidate's figures
// are multiplied by 1+change. Pairs drawn from a small pool share trials, so
// the rate is rougher than from as many runs; the note says how many trials
// there are, and how many of them differ.
func ResampledRate(pool *results.Run, pairs, trials int, change float64, p gate.Policy, seed uint64) (Rate, error) {
	rate := Rate{Want: gate.VerdictPass, Kind: "unchanged", Source: SourceResampled}
	if change > 0 {
		rate.Want, rate.Kind = gate.VerdictRegression, fmt.Sprintf("figures %+.3g %%", 100*change)
	}
	fewest := math.MaxInt
	for i := range pool.Scenarios {
		fewest = min(fewest, len(compare.WholeTrials(&pool.Scenarios[i])))
	}
	if len(pool.Scenarios) == 0 || fewest < 2*trials {
		return rate, fmt.Errorf("resample: %d whole trials are too few for pairs of %d against %d", fewest, trials, trials)
	}
	rate.Note = fmt.Sprintf("%d trials a side, drawn from %d real ones, %d of them different", trials, fewest, compare.DistinctTrials(pool))
	r := rand.New(rand.NewPCG(seed, 0x726573616d706c65))
	for range pairs {
		rate.Count(judgeResampled(pool, trials, change, p, r))
	}
	return rate, nil
}

// judgeResampled gates a pair whose trials are drawn from the pool's.
func judgeResampled(pool *results.Run, trials int, change float64, p gate.Policy, r *rand.Rand) *gate.Verdict {
	a, b := *pool, *pool
	a.Started, b.Started = time.Time{}, time.Time{} // they are not one run
	a.Scenarios, b.Scenarios = slices.Clone(pool.Scenarios), slices.Clone(pool.Scenarios)
	for i := range pool.Scenarios {
		all := compare.WholeTrials(&pool.Scenarios[i])
		r.Shuffle(len(all), func(x, y int) { all[x], all[y] = all[y], all[x] })
		replaceTrials(&a.Scenarios[i], all[:trials], 1)
		replaceTrials(&b.Scenarios[i], all[trials:2*trials], 1+change)
	}
	return gate.Judge(compare.Input{Name: "baseline", Run: &a}, compare.Input{Name: "candidate", Run: &b}, nil, p)
}

// LeastSeen is the change of all figures that pairs drawn from the pool must show. A
// figure that repeats must show twice its limit, one that scatters its limit and four
// times the interval of its change: a regression is asked to be far surer than that. Of
// the times and costs that block, the one that shows the least change counts. 0: none
// blocks.
func LeastSeen(pool *results.Run, trials int, p gate.Policy, seed uint64) float64 {
	r := rand.New(rand.NewPCG(seed, 0x6c6561737473))
	shown := map[string]float64{} // by group and metric, at worst
	for range 20 {
		for _, c := range judgeResampled(pool, trials, 0, p, r).Checks {
			if c.Action != gate.ActionBlock || c.Samples == 0 || c.Base.Median == 0 || c.Change == nil || c.Change.Lo == nil || c.Change.Hi == nil {
				continue
			}
			least := max(2*c.Margin.Value, c.Margin.Value+4*(*c.Change.Hi-*c.Change.Lo)) / math.Abs(c.Base.Median)
			name := c.Group + "/" + c.Metric
			shown[name] = max(shown[name], least)
		}
	}
	least := 0.0
	for _, change := range shown {
		if least == 0 || change < least {
			least = change
		}
	}
	return least
}

// replaceTrials gives a scenario other trials, and numbers and counts them anew. What a
// gate doesn't read, its phases over all trials, it no longer has.
func replaceTrials(s *results.Scenario, trials []results.Trial, factor float64) {
	s.Trials, s.Phases = nil, nil
	for i, t := range trials {
		t = perturbed(t, factor)
		t.Index = i
		s.Trials = append(s.Trials, t)
	}
	analyze.SumTrials(s)
}

// perturbed multiplies a trial's figures, as they would have been rounded.
func perturbed(t results.Trial, factor float64) results.Trial {
	if factor == 1 {
		return t
	}
	scale := func(ns int64) int64 { return synthetic.Bucketed(int64(math.Round(float64(ns) * factor))) }
	phases := map[string]results.Stats{}
	for name, s := range t.Phases {
		s.P50NS, s.P90NS, s.P99NS = scale(s.P50NS), scale(s.P90NS), scale(s.P99NS)
		s.MinNS = int64(float64(s.MinNS) * factor)
		s.MaxNS = max(s.P99NS, int64(math.Ceil(float64(s.MaxNS)*factor))) // no less than the mean of equal values
		s.MeanNS *= factor
		phases[name] = s
	}
	metrics := map[string]results.Metric{}
	for name, m := range t.Metrics {
		if m.Better != compare.BetterHigher {
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
