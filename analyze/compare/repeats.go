// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"fmt"
	"math"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// RepeatedTrials says where trials on a deterministic clock are copies of each other:
// their spread is then that of the clock alone.
func RepeatedTrials(run *results.Run) string {
	for i := range run.Scenarios {
		s := &run.Scenarios[i]
		one := *run
		one.Scenarios = run.Scenarios[i : i+1]
		n, different := len(WholeTrials(s)), DistinctTrials(&one)
		if results.Deterministic(run.Targets[s.TargetIx].Clock) && different < n {
			return fmt.Sprintf("of %d trials of %s only %d differ, so their spread says how well the clock repeats, and not how far "+
				"another build that does the same would be from this one", n, safetext.Name(s.ID), different)
		}
	}
	return ""
}

// DistinctTrials is how many different trials the scenario with the fewest of
// them has. A deterministic clock may repeat one exactly: then many pairs are
// the same pair, and a rate says less than its number of pairs suggests.
func DistinctTrials(run *results.Run) int {
	fewest := math.MaxInt
	for i := range run.Scenarios {
		seen := map[string]bool{}
		for _, t := range WholeTrials(&run.Scenarios[i]) {
			// Maps print sorted by key.
			seen[fmt.Sprint(t.Phases, t.Limbo, t.Metrics)] = true
		}
		fewest = min(fewest, len(seen))
	}
	return fewest
}
