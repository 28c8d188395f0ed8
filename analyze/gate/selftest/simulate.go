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
// Equal seeds give equal tables.
func Simulate(ctx context.Context, pairs int, seed uint64) ([]Cell, error) {
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

// simulated is a run that has the one figure.
func simulated(r *rand.Rand, clock string, trials int, scatter, change float64) *results.Run {
	target := results.Target{Kind: "vm", Clock: clock}
	s := results.Scenario{ID: simulatedFigure, Workload: simulatedFigure, Loop: results.LoopClosed}
	for i := range trials {
		v := 1000 * (1 + change) * (1 + scatter*r.NormFloat64())
		m := results.Metric{N: 1, Unit: "ns", P50: v, P90: v, P99: v, Min: v, Max: v, Mean: v}
		s.Trials = append(s.Trials, results.Trial{Index: i, Metrics: map[string]results.Metric{simulatedFigure: m}})
	}
	return &results.Run{SchemaVersion: results.SchemaVersion, Targets: []results.Target{target}, Target: target, Scenarios: []results.Scenario{s}}
}
