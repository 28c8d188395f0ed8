// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/hold"
)

// checkHold says whether what churn does can be done inside a held reader.
func (c *Workload) checkHold(strategy string) error {
	kind, lengths, err := hold.Parse(c.HoldReader)
	if err != nil || len(lengths) == 0 {
		return err
	}
	longest := slices.Max(lengths)
	switch {
	case strategy != results.StrategyRCU && strategy != results.StrategyTasksTrace:
		return fmt.Errorf("--hold-reader: strategy %s has no grace period to hold up (use rcu or tasks-trace)", strategy)
	case c.Batch > 1:
		return errors.New("--hold-reader: leave --batch out (every death must begin inside its own hold)")
	case c.Duration > 0 && c.Duration < longest:
		return fmt.Errorf("--hold-reader %s=%v is longer than --duration", kind, longest)
	}
	return nil
}
