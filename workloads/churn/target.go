// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

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
	kind, spec := c.innerKind(), c.innerSpec()
	if err := kind.CheckOn(t, "inner"); err != nil {
		return err
	}
	if err := mapops.CheckValueOn(t, "inner-value-size", spec.Type, uint64(spec.ValueSize)); err != nil {
		return err
	}
	if (kind.Type == ebpf.CPUMap || kind.Type == ebpf.PerfEventArray) && t.CPUs > 0 && spec.MaxEntries > uint32(t.CPUs) {
		return fmt.Errorf("--inner-entries %d: %s maps have one for each CPU, and there are %d", spec.MaxEntries, kind.Name, t.CPUs)
	}
	held, lengths, err := hold.Parse(c.HoldReader)
	if err != nil || len(lengths) == 0 {
		return err
	}
	return hold.CheckTarget(held, t)
}
