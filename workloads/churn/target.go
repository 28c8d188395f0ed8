// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"errors"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/hold"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// CheckTarget implements Demanding.
func (c *Workload) CheckTarget(strategy string, t workloads.Target) error {
	if c.Batch > 1 && strategy != results.StrategyImmediate && t.Before(5, 19) {
		return errors.New("--batch: it has no batches for maps of maps (they came with 5.19, 9263dddc7b6f; leave --batch out)")
	}
	if spec := c.innerSpec(); strategy != results.StrategySync {
		if err := mapops.CheckValueOn(t, "inner-value-size", spec.Type, uint64(spec.ValueSize)); err != nil {
			return err
		}
	}
	kind, lengths, err := hold.Parse(c.HoldReader)
	if err != nil || len(lengths) == 0 {
		return err
	}
	return hold.CheckTarget(kind, t)
}
