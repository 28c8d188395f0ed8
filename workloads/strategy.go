// SPDX-License-Identifier: Apache-2.0

package workloads

import "slices"

// CheckStrategy says whether w can arrange a strategy.
func CheckStrategy(w Workload, strategy string) error {
	if slices.Contains(w.Strategies(), strategy) {
		return nil
	}
	return &UnknownError{"strategy", strategy, w.Strategies()}
}
