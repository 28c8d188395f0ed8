// SPDX-License-Identifier: Apache-2.0

package workloads

import "slices"

// Strategies that a workload can be asked for.
const (
	StrategyImmediate  = "immediate"   // freed at once: never in an outer map
	StrategyRCU        = "rcu"         // no sleepable program uses the outer map
	StrategyTasksTrace = "tasks-trace" // a sleepable program does
	StrategySync       = "sync"        // map_free itself waits
	StrategyNone       = "none"        // nothing is freed that is of interest
)

// CheckStrategy says whether w can arrange a strategy.
func CheckStrategy(w Workload, strategy string) error {
	if slices.Contains(w.Strategies(), strategy) {
		return nil
	}
	return &UnknownError{"strategy", strategy, w.Strategies()}
}
