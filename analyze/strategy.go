// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/mapprof/mapprof/results"
)

// StrategyOf names the strategy of a path ("tasks-trace+rcu"): the wait in it
// that ranks highest, since the others are short beside it or come with it.
// The path itself where it holds no wait that is known.
func StrategyOf(path string) string {
	name, least := path, math.MaxInt
	for wait := range strings.SplitSeq(path, "+") {
		if r := rank(wait); r < least {
			name, least = wait, r
		}
	}
	return name
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
	ra, rb := rank(a), rank(b)
	return ra < rb || ra == rb && a < b
}

// rank is a strategy's in the table. What is not in it, or names no path, comes
// last.
func rank(strategy string) int {
	if s, ok := results.StrategyNamed(strategy); ok && s.Rank > 0 {
		return s.Rank
	}
	return math.MaxInt
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
	if total == 0 || st.Observed == "" || st.Requested == results.StrategyAny {
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
	if st.Requested == results.StrategyRCU && st.Observed == results.StrategyTasksTrace {
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
