// SPDX-License-Identifier: Apache-2.0

package results

import (
	"fmt"
	"regexp"
	"slices"
)

// Names of strategies, as files and flags have them.
const (
	StrategyImmediate  = "immediate"
	StrategyRCU        = "rcu"
	StrategyTasksTrace = "tasks-trace"
	StrategySync       = "sync"
	StrategySyncTasks  = "sync-tasks"
	StrategyNone       = "none"
	StrategyAny        = "any" // what a recording asks for: whatever the kernel does
)

// KnownStrategy is all that is known of a strategy, apart from a run: how the
// kernel waits before it frees a map. Whatever shows one takes it from here.
type KnownStrategy struct {
	Name     string // lower case, digits and hyphens; also the name of its wait in a path
	Sentence string // completes "a freed map stays in memory 15 ms …"
	// Class is the CSS class of its colour, c0 to c7; empty: the next free one.
	Class string
	// Rank says which wait names a path that has several ("rcu+sync"): the one
	// with the least rank, since the others are short beside it or come with
	// it. No two have one rank; between any two is room for more. 0: it frees
	// nothing, and names no path.
	Rank         int
	OnlyObserved bool // no workload can be asked for it
}

// strategies is the table, in the order in which everything lists strategies.
// The colours are those of the phases that they wait in.
var strategies = []KnownStrategy{
	{Name: StrategyImmediate, Rank: 40, Class: "c2", Sentence: "when it was never in an outer map"},
	{Name: StrategyRCU, Rank: 30, Class: "c0", Sentence: "when only non-sleepable programs use its outer map"},
	{Name: StrategyTasksTrace, Rank: 20, Class: "c1", Sentence: "when a sleepable program uses its outer map"},
	{Name: StrategySync, Rank: 10, Class: "c3", Sentence: "when its own free waits for a grace period (devmap)"},
	{Name: StrategySyncTasks, Rank: 5, OnlyObserved: true, Class: "c6", Sentence: "when its own free waits for an RCU-tasks grace period (struct_ops)"},
	{Name: StrategyNone, Sentence: "when nothing of interest is freed"},
	{Name: StrategyAny, Sentence: "when a program lets it go"},
}

// Strategies returns the table, in order.
func Strategies() []KnownStrategy { return slices.Clone(strategies) }

// StrategyNamed returns the strategy of that name.
func StrategyNamed(name string) (KnownStrategy, bool) {
	for i := range strategies {
		if strategies[i].Name == name {
			return strategies[i], true
		}
	}
	return KnownStrategy{}, false
}

// FreeingStrategies returns the names of the strategies that free maps, in
// order: all that a workload can be asked to compare.
func FreeingStrategies() []string {
	var names []string
	for _, s := range strategies {
		if s.Rank > 0 && !s.OnlyObserved {
			names = append(names, s.Name)
		}
	}
	return names
}

var (
	strategyNamePattern = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	classPattern        = regexp.MustCompile(`^c[0-7]$`)
)

// AddStrategy puts a strategy at the end of the table, and returns what takes
// it out again. It is for programs with probes of their own and for tests.
// Call it, and what it returns, before anything is measured or rendered, from
// one goroutine. A strategy that the table can't hold is the program's
// mistake, and panics.
func AddStrategy(s KnownStrategy) (undo func()) {
	taken := slices.ContainsFunc(strategies, func(o KnownStrategy) bool { return o.Name == s.Name || s.Rank > 0 && o.Rank == s.Rank })
	if taken || !strategyNamePattern.MatchString(s.Name) || s.Sentence == "" || s.Class != "" && !classPattern.MatchString(s.Class) || s.Rank < 0 {
		panic(fmt.Sprintf("add strategy %q: the name or the rank is taken, the name is not lower case letters, digits and hyphens, there is no sentence, or the class is not c0 to c7", s.Name))
	}
	strategies = append(slices.Clone(strategies), s)
	return func() {
		strategies = slices.DeleteFunc(slices.Clone(strategies), func(o KnownStrategy) bool { return o.Name == s.Name })
	}
}
