// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/mapprof/mapprof/results"
)

// The strategies, by the rank in which they name a path that has several
// waits.
const (
	StrategySync       = "sync"
	StrategyTasksTrace = "tasks-trace"
	StrategyRCU        = "rcu"
	StrategyImmediate  = "immediate"
)

var strategyRank = []string{StrategySync, StrategyTasksTrace, StrategyRCU, StrategyImmediate}

// StrategyOf names the strategy of a path ("tasks-trace+rcu"): the wait in it
// that ranks highest, since the others are short beside it or come with it.
// The path itself where it holds no wait that is known.
func StrategyOf(path string) string {
	waits := strings.Split(path, "+")
	for _, s := range strategyRank {
		if slices.Contains(waits, s) {
			return s
		}
	}
	return path
}

// Observed is the strategy that most deaths took, by their paths; of equals,
// the one that ranks higher. Empty without deaths.
func Observed(paths map[string]uint64) string {
	best, most := "", uint64(0)
	for s, n := range byStrategy(paths) {
		if n > most || n == most && n > 0 && before(s, best) {
			best, most = s, n
		}
	}
	return best
}

func byStrategy(paths map[string]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for p, n := range paths {
		out[StrategyOf(p)] += n
	}
	return out
}

func before(a, b string) bool {
	ra, rb := slices.Index(strategyRank, a), slices.Index(strategyRank, b)
	if ra < 0 || rb < 0 {
		return ra > rb || ra == rb && a < b
	}
	return ra < rb
}

// Mismatches says for each scenario whose kernel took another strategy than
// was asked for that it did, and for each one whose deaths took different
// ones how many.
func Mismatches(run *results.Run) []string {
	var out []string
	for i := range run.Scenarios {
		if w := mismatch(&run.Scenarios[i]); w != "" {
			out = append(out, w)
		}
	}
	return out
}

func mismatch(s *results.Scenario) string {
	st := s.Strategy
	var total uint64
	for _, n := range st.Paths {
		total += n
	}
	if total == 0 || st.Observed == "" {
		return ""
	}
	counts := byStrategy(st.Paths)
	if st.Observed == st.Requested {
		if counts[st.Observed] == total {
			return ""
		}
		return fmt.Sprintf("%s: strategy %s: %d of %d deaths went another way (%s)",
			s.KernelName(), st.Requested, total-counts[st.Observed], total, pathsText(st.Paths))
	}
	text := fmt.Sprintf("%s: strategy %s was requested, %s was observed (%d of %d deaths; %s): this kernel chose another path",
		s.KernelName(), st.Requested, st.Observed, counts[st.Observed], total, pathsText(st.Paths))
	if st.Requested == StrategyRCU && st.Observed == StrategyTasksTrace {
		text += "; kernels without af66bfd3c853 (6.8) wait for both grace periods for every inner map"
	}
	return text
}

// pathsText lists paths with their counts, the most frequent first.
func pathsText(paths map[string]uint64) string {
	names := make([]string, 0, len(paths))
	for p, n := range paths {
		if n > 0 {
			names = append(names, p)
		}
	}
	sort.Slice(names, func(a, b int) bool {
		if na, nb := paths[names[a]], paths[names[b]]; na != nb {
			return na > nb
		}
		return names[a] < names[b]
	})
	for i, p := range names {
		names[i] = fmt.Sprintf("%s %d", p, paths[p])
	}
	return "path " + strings.Join(names, ", ")
}
