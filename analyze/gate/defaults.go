// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/mapprof/mapprof/results"
	"go.yaml.in/yaml/v3"
)

// DefaultPolicy is the gate without a file. What a user feels blocks, and what
// a workload measures of its own: medians, means, tails, memory in limbo,
// throughput. Single phases of a death advise, and so do maxima. On a wall
// clock nothing blocks unless the host is dedicated.
func DefaultPolicy() Policy {
	p := Policy{
		Version: 1, Host: HostShared, MaxLoss: 0.001, MaxPending: 0.01, Accept: []string{},
		Deterministic: ClockPolicy{Alpha: 0.01, PassAlpha: 0.05, MinTrials: 3},
		Wall:          ClockPolicy{Alpha: 0.001, PassAlpha: 0.05, MinTrials: 10},
		Rules:         defaultRules(),
	}
	if err := p.Check(); err != nil {
		panic(err) // tested
	}
	return p
}

// margins are how much worse figures of a kind may be.
type margins struct {
	clock      string
	strategies []string
	of         []string // what is judged
	// p50, mean, p90 and p99 are of values, whole of a trial as a whole:
	// throughput, and byte-seconds of a death; peak is of memory. 0: it advises.
	p50, mean, p90, p99, whole, peak Ratio
	// least is the least margin of p50, mean and p90, and half of p99's, where their
	// ratios are less.
	least time.Duration
}

// defaultMargins are somewhat more than unchanged runs differ by. On the
// deterministic clock medians repeat to its own resolution; a mean has the first
// operation in it, which waits for the next tick. What workloads measure comes in
// batches, in about one of a hundred of which a tick falls: no p99 of it blocks. A tasks-trace grace period
// polls for its readers, several ticks apart, and its median moves by two. Since 6.19 an
// update's wait is microseconds: it goes one of two ways, 4.5 µs apart and the operation
// 7.6 µs (arm64 7.2), and a tick falls in one of a hundred, for 10 to 15 µs.
func defaultMargins() []margins {
	felt, waits := results.FeltPhases(), []string{results.StrategyRCU, results.StrategyTasksTrace}
	measured := []string{"lookup.*", "update.*", "probe.*", "create*", "mmap", "touch", "zero", "free.*"}
	return []margins{
		{clock: results.ClockICount, strategies: []string{results.StrategyTasksTrace}, of: []string{results.PhaseLimbo},
			p50: 0.1, mean: 0.03, p90: 0.1, p99: 0.1, whole: 0.03, peak: 0.1},
		{clock: results.ClockICount, strategies: waits, of: felt, p50: 0.005, mean: 0.01, p90: 0.02, p99: 0.05, whole: 0.01, peak: 0.1,
			least: 10 * time.Microsecond},
		{clock: results.ClockICount, of: felt, p50: 0.005, mean: 0.01, p90: 0.02, p99: 0.05, whole: 0.01, peak: 0.1},
		{clock: results.ClockICount, of: measured, p50: 0.005, mean: 0.01, p90: 0.02},
		{clock: results.ClockWall, of: felt, p50: 0.05, mean: 0.05, p90: 0.1, p99: 0.25, whole: 0.05, peak: 0.25},
		{clock: results.ClockWall, of: measured, p50: 0.05, mean: 0.05, p90: 0.1},
	}
}

func defaultRules() []Rule {
	var rules []Rule
	for _, m := range defaultMargins() {
		block := func(margin Ratio, least time.Duration, metrics ...string) {
			rules = append(rules, Rule{Metrics: metrics, Clock: m.clock, Strategies: m.strategies, Relative: margin, Absolute: Amount(least), Action: ActionBlock, Optional: true})
		}
		for _, s := range []struct {
			name   string
			margin Ratio
			least  time.Duration
		}{{"p50", m.p50, m.least}, {"mean", m.mean, m.least}, {"p90", m.p90, m.least}, {"p99", m.p99, 2 * m.least}} {
			if s.margin == 0 {
				continue
			}
			var metrics []string
			for _, of := range m.of {
				// A probe's cost is a difference: all but its median scatters too much.
				if of != "probe.*" || s.name == "p50" {
					metrics = append(metrics, of+"/"+s.name)
				}
			}
			block(s.margin, s.least, metrics...)
		}
		if m.peak == 0 {
			continue
		}
		block(m.peak, 0, "limbo/peak_bytes")
		whole := []string{"limbo/byte_seconds_per_death"}
		if len(m.strategies) == 0 {
			whole = append(whole, "throughput/*")
		}
		block(m.whole, 0, whole...)
	}
	return append(rules,
		Rule{Metrics: []string{"**"}, Clock: results.ClockICount, Relative: 0.02, Action: ActionAdvise, Optional: true},
		Rule{Metrics: []string{"**"}, Clock: results.ClockWall, Relative: 0.05, Action: ActionAdvise, Optional: true})
}

// Write prints the policy as ReadPolicy reads it.
func (p Policy) Write(w io.Writer) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(p); err != nil {
		return fmt.Errorf("print policy: %w", err)
	}
	return e.Close()
}

// MarshalYAML writes a ratio in percent.
func (r Ratio) MarshalYAML() (any, error) {
	return strconv.FormatFloat(100*float64(r), 'g', 12, 64) + "%", nil
}

// MarshalYAML writes an amount as a number in the metric's unit.
func (a Amount) MarshalYAML() (any, error) { return float64(a), nil }
