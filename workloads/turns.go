// SPDX-License-Identifier: Apache-2.0

package workloads

import "context"

// sides is how many parts each side of a comparison has.
const sides = 4

// inTurns does count operations with a probe that is attached, and as many
// without it. Each side is done in parts, and they take turns, neither always
// the first: a machine that gets slower meanwhile does so for both. It stops
// early when ctx ends.
func inTurns(ctx context.Context, probe Probe, count uint64, without, with func(until uint64) error) error {
	for part := range uint64(sides) {
		until := count / sides * (part + 1)
		if part == sides-1 {
			until = count
		}
		order := []bool{true, false}
		if part%2 == 1 {
			order[0], order[1] = order[1], order[0]
		}
		for _, probed := range order {
			side, turn := without, probe.Detach
			if probed {
				side, turn = with, probe.Attach
			}
			if ctx.Err() != nil {
				return nil
			}
			if err := turn(); err != nil {
				return err
			}
			if err := side(until); err != nil {
				return err
			}
		}
	}
	return nil
}

// series is what batches cost, each for one operation.
type series struct {
	values []float64
	ops    uint64
}

// extend takes batches until the series has that many operations, or until ctx
// ends.
func (s *series) extend(ctx context.Context, until uint64, take func() (ns int64, n int, err error), step func(n int)) error {
	for s.ops < until && ctx.Err() == nil {
		ns, n, err := take()
		if err != nil {
			return err
		}
		s.values = append(s.values, float64(ns)/float64(n))
		s.ops += uint64(n)
		step(n)
	}
	return nil
}

// probeCost is the metric of what a probe adds. The base is the same
// operations' without it.
func probeCost(with, without []float64, function string) Metric {
	return Metric{Values: less(with, medianOf(without)), Unit: "ns/op", Difference: true,
		How: "with the probe on " + function + ", less the median without; they took turns, and nothing above is less this"}
}
