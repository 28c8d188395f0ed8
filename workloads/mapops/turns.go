// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"context"

	"github.com/mapprof/mapprof/workloads"
)

// parts is how many parts each side of a comparison has.
const parts = 8

// inTurns does count operations with a probe that is attached, and as many
// without it. Each side is done in parts, and they take turns, neither always
// the first: a machine that gets slower meanwhile does so for both. It stops
// early when ctx ends.
func inTurns(ctx context.Context, probe workloads.Probe, count uint64, without, with func(until uint64) error) error {
	for part := range uint64(parts) {
		until := count / parts * (part + 1)
		if part == parts-1 {
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
