// SPDX-License-Identifier: Apache-2.0

package html

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// Status is a fact about the run's soundness that nobody should overlook.
type Status struct {
	Level string // ok, warn, bad
	Name  string
	Text  string
}

// statusesOf always says something of loss, balance, strategies and pending
// deaths, so that silence never has to be interpreted.
func statusesOf(entries []*model.Entry) []Status {
	var lost, puts, freed, inFlight, lostPuts, pending uint64
	unbalanced, mismatched := 0, 0
	for _, e := range entries {
		for _, n := range e.Scenario.Loss {
			lost += n
		}
		for _, t := range e.Scenario.Trials {
			puts, freed, inFlight, lostPuts = puts+t.Puts, freed+t.Freed, inFlight+t.InFlight, lostPuts+t.Lost
			if t.Pending != nil {
				pending += t.Pending.N
			}
			if t.Balance() != nil {
				unbalanced++
			}
		}
		if !e.Scenario.Strategy.AsRequested() {
			mismatched++
		}
	}
	out := []Status{
		{"ok", "Loss", "none"},
		{"ok", "Balance", fmt.Sprintf("%d puts = %d freed + %d in flight + %d lost", puts, freed, inFlight, lostPuts)},
		{"ok", "Strategies", "all as requested"},
		{"ok", "Pending", "none"},
	}
	nothingFreed := !slices.ContainsFunc(entries, func(e *model.Entry) bool { return !model.MetricsOnly(e.Scenario) })
	if lost+lostPuts > 0 {
		out[0] = Status{"bad", "Loss", model.Plural(max(lost, lostPuts), "event") + " lost: figures are incomplete"}
	}
	if unbalanced > 0 {
		out[1] = Status{"bad", "Balance", model.Plural(uint64(unbalanced), "trial") + " without balance"}
	}
	if mismatched > 0 {
		out[2] = Status{"warn", "Strategies", fmt.Sprintf("%d of %d took another way", mismatched, len(entries))}
	}
	if pending > 0 {
		out[3] = Status{"warn", "Pending", model.Plural(pending, "death") + " not ended: figures are lower bounds"}
	}
	if nothingFreed && len(entries) > 0 {
		return out[:1]
	}
	return out
}

// alertsOf are the messages that go to the top of the page.
func alertsOf(runs []*model.Loaded, entries []*model.Entry) []Status {
	var out []Status
	add := func(level, run, text string) {
		s := Status{Level: level, Text: safetext.Text(text)}
		if len(runs) > 1 {
			s.Name = run
		}
		if !slices.Contains(out, s) && len(out) < 100 {
			out = append(out, s)
		}
	}
	pending := map[string]bool{}
	for _, l := range runs {
		if l.Run.Partial {
			add("bad", l.Name, "Partial run: "+cmp.Or(l.Run.PartialReason, "not everything that was asked for was done"))
		}
		for _, n := range l.Notes {
			add("bad", l.Name, n)
		}
	}
	for _, e := range entries {
		if text := results.LossText(e.Scenario.Loss); text != "none" {
			add("bad", e.Loaded.Name, "Loss in "+e.Scenario.ID+": "+text)
		}
		for _, t := range e.Scenario.Trials {
			if err := t.Balance(); err != nil {
				add("bad", e.Loaded.Name, e.Scenario.ID+": "+err.Error())
			}
			for _, f := range t.Failures {
				add("bad", e.Loaded.Name, fmt.Sprintf("%s trial %d: %s", e.Scenario.ID, t.Index, f))
			}
			for _, text := range model.StuckTexts(&t) {
				add("warn", e.Loaded.Name, e.Scenario.ID+", stuck: "+text)
			}
			if t.Pending != nil && t.Pending.N > 0 {
				pending[e.Scenario.ID] = true
				add("warn", e.Loaded.Name, fmt.Sprintf("%s trial %d: %s still in limbo when the trial ended, pending ≥ %s, the oldest ≥ %s", e.Scenario.ID, t.Index,
					model.Plural(t.Pending.N, "map"), model.FormatDuration(float64(t.Pending.MinNS)), model.FormatDuration(float64(t.Pending.MaxNS))))
			}
		}
	}
	for _, l := range runs {
		mismatches := analyze.Mismatches(l.Run)
		sorted := slices.Sorted(slices.Values(mismatches))
		for _, w := range append(mismatches, l.Run.Warnings...) {
			// A run keeps the mismatches that were found when it was made. What
			// goes on where w ends comes next to it.
			next, _ := slices.BinarySearchFunc(sorted, w, func(m, w string) int { return cmp.Or(strings.Compare(m, w), -1) })
			if next < len(sorted) && strings.HasPrefix(sorted[next], w) {
				continue
			}
			add("warn", l.Name, w)
		}
	}
	for _, e := range entries {
		repeatsPending := func(w string) bool {
			return pending[e.Scenario.ID] && strings.HasSuffix(w, "still pending when the trial ended")
		}
		for _, w := range e.Scenario.Warnings {
			if !repeatsPending(w) {
				add("warn", e.Loaded.Name, e.Scenario.ID+": "+w)
			}
		}
		for _, t := range e.Scenario.Trials {
			for _, w := range t.Warnings {
				if !slices.Contains(e.Scenario.Warnings, w) && !repeatsPending(w) {
					add("warn", e.Loaded.Name, fmt.Sprintf("%s trial %d: %s", e.Scenario.ID, t.Index, w))
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Status) int { return strings.Compare(a.Level, b.Level) }) // bad, warn
	return out
}
