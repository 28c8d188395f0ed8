// SPDX-License-Identifier: Apache-2.0

package results

import (
	"slices"
	"testing"
)

func TestStrategyTable(t *testing.T) {
	ranks := map[int]string{}
	for _, s := range Strategies() {
		if s.Rank > 0 && ranks[s.Rank] != "" {
			t.Errorf("%s and %s have one rank", s.Name, ranks[s.Rank])
		}
		ranks[s.Rank] = s.Name
		if got, ok := StrategyNamed(s.Name); !ok || got != s || s.Sentence == "" {
			t.Errorf("%s: %+v", s.Name, got)
		}
	}
	if got, want := FreeingStrategies(), []string{"immediate", "rcu", "tasks-trace", "sync"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, ok := StrategyNamed("hazard"); ok {
		t.Error("an unknown strategy is known")
	}
}

func TestAddStrategy(t *testing.T) {
	before := Strategies()
	hazard := KnownStrategy{Name: "hazard", Sentence: "s", Class: "c5", Rank: 25}
	undo := AddStrategy(hazard)
	if got, ok := StrategyNamed("hazard"); !ok || got != hazard || FreeingStrategies()[4] != "hazard" {
		t.Errorf("%+v of %v", got, FreeingStrategies())
	}
	if !panics(func() { AddStrategy(hazard) }) {
		t.Error("it was added twice")
	}
	undo()
	if got := Strategies(); !slices.Equal(got, before) {
		t.Errorf("afterwards: %v", got)
	}
	for name, bad := range map[string]func(*KnownStrategy){
		"not a name": func(s *KnownStrategy) { s.Name = "a+b" },
		"silent":     func(s *KnownStrategy) { s.Sentence = "" },
		"no class":   func(s *KnownStrategy) { s.Class = "c9" },
		"no rank":    func(s *KnownStrategy) { s.Rank = -1 },
		"rank taken": func(s *KnownStrategy) { s.Rank = before[0].Rank },
	} {
		s := hazard
		bad(&s)
		if !panics(func() { AddStrategy(s) }) {
			t.Errorf("%s: it was added", name)
		}
	}
}

func TestClockTable(t *testing.T) {
	if !slices.Equal(ClockNames(), []string{"wall", "icount"}) {
		t.Errorf("%v", ClockNames())
	}
	for name, want := range map[string]bool{"wall": false, "icount": true, "": false, "sundial": false} {
		c, ok := ClockNamed(name)
		if Deterministic(name) != want || c.Deterministic != want || ok != slices.Contains(ClockNames(), name) {
			t.Errorf("%q: %+v", name, c)
		}
	}
	if ClockThatIs(true).Name != ClockICount || ClockThatIs(false).Name != ClockWall {
		t.Error("a policy's clocks are others")
	}
	for _, c := range Clocks() {
		if c.Sentence == "" || c.Unit == "" {
			t.Errorf("%+v", c)
		}
	}
}
