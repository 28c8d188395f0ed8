// SPDX-License-Identifier: Apache-2.0

package selftest

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/results"
)

// Cell is what a gate said of many simulated pairs of one kind.
type Cell struct {
	Clock   string  `json:"clock"`
	Trials  int     `json:"trials"`  // on each side
	Scatter float64 `json:"scatter"` // between trials, a relative standard deviation
	Change  float64 `json:"change"`  // of the candidate, relative
	Margin  float64 `json:"margin"`
	// MostTurns is set where the sides took turns until the gate decided;
	// MeanTurns is how many that took.
	MostTurns int     `json:"most_turns,omitempty"`
	MeanTurns float64 `json:"mean_turns,omitempty"`
	Rate
}

// The simulated figure, and how much worse it may be by clock: the default
// policy's for a median.
const simulatedFigure = "simulated"

var simulations = []struct {
	clock            string
	margin           float64
	trials           []int
	scatter, changes []float64
}{
	{results.ClockWall, 0.05, []int{10, 20}, []float64{0.005, 0.02, 0.05, 0.1}, []float64{0, 0.03, 0.06, 0.1}},
	{results.ClockICount, 0.005, []int{3}, []float64{0, 0.0002, 0.001, 0.005}, []float64{0, 0.003, 0.006, 0.01}},
}

// Simulate gates that many pairs for each cell of a table: one figure that is
// normally distributed over trials, whose candidate is worse by a known change.
// Equal seeds give equal tables. Last come those of sides in turns.
func Simulate(ctx context.Context, pairs int, seed uint64) ([]Cell, error) {
	cells, err := simulateRuns(ctx, pairs, seed)
	if err != nil {
		return nil, err
	}
	turns, err := simulateTurns(ctx, pairs, seed)
	return append(cells, turns...), err
}

func simulateRuns(ctx context.Context, pairs int, seed uint64) ([]Cell, error) {
	var cells []Cell
	for _, s := range simulations {
		p := gate.DefaultPolicy()
		p.Host = gate.HostDedicated
		p.Rules = []gate.Rule{{Metrics: []string{simulatedFigure + "/mean"}, Relative: gate.Ratio(s.margin), Action: gate.ActionBlock}}
		if err := p.Check(); err != nil {
			return nil, fmt.Errorf("simulate: %w", err)
		}
		for _, n := range s.trials {
			for _, scatter := range s.scatter {
				for _, change := range s.changes {
					r := rand.New(rand.NewPCG(seed, uint64(len(cells))))
					c := Cell{Clock: s.clock, Trials: n, Scatter: scatter, Change: change, Margin: s.margin}
					for range pairs {
						if err := ctx.Err(); err != nil {
							return cells, err
						}
						a, b := simulated(r, s.clock, n, scatter, 0), simulated(r, s.clock, n, scatter, change)
						c.Count(gate.Judge(compare.Input{Name: "baseline", Run: a}, compare.Input{Name: "candidate", Run: b}, nil, p))
					}
					cells = append(cells, c)
				}
			}
		}
	}
	return cells, nil
}

// mostTurns is how many a run takes that ends when the gate decides.
const mostTurns = 80

// simulateTurns is Simulate of runs whose sides take turns until the gate
// decides. The machine drifts by as much as trials scatter, which both sides
// share. At a change as large as the margin a pass is as seldom as the policy
// says, though the gate looks several times.
func simulateTurns(ctx context.Context, pairs int, seed uint64) ([]Cell, error) {
	const margin = 0.05
	p := gate.DefaultPolicy()
	p.Host = gate.HostDedicated
	p.Rules = []gate.Rule{{Metrics: []string{simulatedFigure + "/mean"}, Relative: margin, Action: gate.ActionBlock}}
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	until := gate.UntilDecided{By: compare.ByKernel, Baseline: "baseline", Policy: p, MostTurns: mostTurns}
	looks := until.Looks(results.ClockWall)
	var cells []Cell
	for _, scatter := range []float64{0.02, 0.05, 0.1} {
		for _, change := range []float64{0, 0.03, margin, 2 * margin} {
			r := rand.New(rand.NewPCG(seed, 1000+uint64(len(cells))))
			c := Cell{Clock: results.ClockWall, Trials: looks[0], Scatter: scatter, Change: change, Margin: margin, MostTurns: mostTurns}
			all := 0
			for range pairs {
				if err := ctx.Err(); err != nil {
					return cells, err
				}
				v, turns := inTurns(r, &until, scatter, change)
				c.Count(v)
				all += turns
			}
			c.MeanTurns = float64(all) / float64(pairs)
			cells = append(cells, c)
		}
	}
	return cells, nil
}

// inTurns does a run until it is decided, and judges it then.
func inTurns(r *rand.Rand, until *gate.UntilDecided, scatter, change float64) (v *gate.Verdict, turns int) {
	a, b := simulated(r, results.ClockWall, mostTurns, scatter, 0), simulated(r, results.ClockWall, mostTurns, scatter, change)
	for i := range mostTurns {
		drift := 1 + scatter*r.NormFloat64()
		for _, t := range []*results.Trial{&a.Scenarios[0].Trials[i], &b.Scenarios[0].Trials[i]} {
			t.Metrics[simulatedFigure] = constant(t.Metrics[simulatedFigure].Mean * drift)
		}
	}
	all := [2][]results.Trial{a.Scenarios[0].Trials, b.Scenarios[0].Trials}
	run := *a
	run.Looks = len(until.Looks(results.ClockWall))
	run.Scenarios = []results.Scenario{a.Scenarios[0], b.Scenarios[0]}
	for i, kernel := range []string{"baseline", "candidate"} {
		run.Scenarios[i].ID, run.Scenarios[i].Kernel = kernel, kernel
	}
	for turns = 1; turns <= mostTurns; turns++ {
		for i := range run.Scenarios {
			run.Scenarios[i].Trials = all[i][:turns]
		}
		if until.Decides(&run, turns) {
			break
		}
	}
	turns = min(turns, mostTurns)
	sides := [2]compare.Input{}
	for i := range sides {
		side := run
		side.Scenarios = run.Scenarios[i : i+1]
		sides[i] = compare.Input{Name: run.Scenarios[i].ID, Run: &side}
	}
	return gate.JudgeSides(sides[0], sides[1], until.Policy), turns
}

func constant(v float64) results.Metric {
	return results.Metric{N: 1, Unit: "ns", P50: v, P90: v, P99: v, Min: v, Max: v, Mean: v}
}

// simulated is a run that has the one figure.
func simulated(r *rand.Rand, clock string, trials int, scatter, change float64) *results.Run {
	target := results.Target{Kind: "vm", Clock: clock}
	s := results.Scenario{ID: simulatedFigure, Workload: simulatedFigure, Loop: results.LoopClosed}
	for i := range trials {
		m := constant(1000 * (1 + change) * (1 + scatter*r.NormFloat64()))
		s.Trials = append(s.Trials, results.Trial{Index: i, Metrics: map[string]results.Metric{simulatedFigure: m}})
	}
	return &results.Run{SchemaVersion: results.SchemaVersion, Targets: []results.Target{target}, Target: target, Scenarios: []results.Scenario{s}}
}
