// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/results"
)

// headline is what a glance should take away from one kernel and workload.
type headline struct {
	Kernel   string
	Where    string // what ran and where
	Sentence []span
	Blame    string
	Rows     []headlineRow
	Costs    []costRow // in place of Rows where nothing is freed
	Found    []string  // by the workload
}

// span is a piece of a sentence: words, or a figure of run.json.
type span struct {
	Text     string
	Figure   bool
	Value    string // as in run.json
	Scenario string // its ID
	Class    string
}

type headlineRow struct {
	Label, Color       string
	P50, P99, Max      string
	Peak, Maps, N      string
	Observed, Mismatch string
}

// strategyWords say when a map takes which way.
var strategyWords = map[string]string{
	analyze.StrategyTasksTrace: "when a sleepable program uses its outer map",
	analyze.StrategyRCU:        "when only non-sleepable programs use its outer map",
	analyze.StrategyImmediate:  "when it was never in an outer map",
	analyze.StrategySync:       "when its own free waits for a grace period (devmap)",
}

// headlineGroups parts entries by what the strategies have in common.
func headlineGroups(entries []*entry) [][]*entry {
	var out [][]*entry
	index := map[string]int{}
	for _, e := range entries {
		key := fmt.Sprintf("%d\x00%d\x00%s\x00%s\x00%s\x00%s", e.runIx, e.s.TargetIx, e.s.KernelName(), e.s.Workload, e.s.Loop, paramsText(e.s.Params))
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], e)
	}
	return out
}

func headlinesOf(entries []*entry, runs int) []headline {
	short := shortKernels(entries)
	var out []headline
	for _, list := range headlineGroups(entries) {
		e := list[0]
		g := &group{target: e.target, workload: e.s.Workload, loop: e.s.Loop}
		for _, e := range list {
			g.scenarios = append(g.scenarios, e.s)
		}
		h := headline{Kernel: short[e.s.KernelName()], Where: workloadText(e.s) + " · " + g.subtitle()}
		if runs > 1 {
			h.Kernel = e.run.Name + " · " + h.Kernel
		}
		if g.metricsOnly() {
			h.Sentence, h.Blame = costSentence(list, short[e.s.KernelName()])
		} else {
			h.Sentence, h.Blame = sentence(list, short[e.s.KernelName()])
		}
		for _, e := range list {
			if g.metricsOnly() {
				h.Costs = append(h.Costs, costRows(e.s)...)
			} else {
				h.Rows = append(h.Rows, rowOf(e))
			}
			h.Found = append(h.Found, foundIn(e.s)...)
		}
		out = append(out, h)
	}
	return out
}

// workloadText names the maps; subtitle names the workload itself.
func workloadText(s *results.Scenario) string {
	inner, outer := analyze.SafeName(s.Params["inner"]), analyze.SafeName(s.Params["outer"])
	switch {
	case inner != "" && outer != "":
		return inner + " in " + outer
	case inner != "":
		return inner
	}
	return paramsText(s.Params)
}

func sentence(list []*entry, kernel string) (out []span, blame string) {
	list = slices.DeleteFunc(slices.Clone(list), func(e *entry) bool { return deaths(e.s) == 0 })
	if len(list) == 0 {
		return []span{{Text: "On " + kernel + " no map was seen to be freed."}}, ""
	}
	p50 := func(e *entry) int64 { return e.s.Phases[results.PhaseLimbo].P50NS }
	sort.SliceStable(list, func(a, b int) bool { return p50(list[a]) > p50(list[b]) })
	out = append(out, span{Text: "On " + kernel + " a freed map stays in memory "})
	for i, e := range list {
		if i > 0 && i == len(list)-1 {
			out = append(out, span{Text: " and "})
		} else if i > 0 {
			out = append(out, span{Text: ", "})
		}
		out = append(out, span{Text: FormatDuration(float64(p50(e))), Figure: true, Value: strconv.FormatInt(p50(e), 10), Scenario: e.s.ID, Class: e.Color})
		words := strategyWords[e.s.Strategy.Requested]
		if words == "" {
			words = "with " + label(e.s)
		}
		if o := e.s.Strategy.Observed; o != e.s.Strategy.Requested && o != "" {
			words += " (the kernel took the way of " + analyze.SafeName(o) + ")"
		}
		out = append(out, span{Text: " " + words})
	}
	first, last := list[0], list[len(list)-1]
	if len(list) > 1 && p50(last) > 0 {
		out = append(out, span{Text: ": " + formatRatio(float64(p50(first))/float64(p50(last))) + " as long"})
	}
	out = append(out, span{Text: "."})
	if phase, share := longest(first.s.Phases); phase != "" {
		blame = fmt.Sprintf("%s of the longest is %s.", formatShare(share), phaseNoun(phase))
	}
	most := slices.MaxFunc(list, func(a, b *entry) int { return int(a.s.Limbo.PeakMaps) - int(b.s.Limbo.PeakMaps) })
	if l := most.s.Limbo; l.PeakMaps > 0 {
		blame += fmt.Sprintf(" At the peak %s in %s, which no list of maps shows any more.", FormatBytes(float64(l.PeakBytes)), plural(l.PeakMaps, "map"))
	}
	return out, blame
}

func phaseNoun(phase string) string {
	switch phase {
	case results.PhaseTasksTraceGP:
		return "the tasks-trace grace period"
	case results.PhaseRCUGP:
		return "the RCU grace period"
	case results.PhaseQueue:
		return "waiting for a kworker"
	case results.PhaseFree:
		return "the free itself"
	}
	return phase
}

func rowOf(e *entry) headlineRow {
	l := e.s.Phases[results.PhaseLimbo]
	r := headlineRow{Label: label(e.s), Color: e.Color, N: strconv.FormatUint(l.N, 10), P50: none, P99: none, Max: none, Peak: none, Maps: none,
		Observed: analyze.SafeName(e.s.Strategy.Observed)}
	if l.N > 0 {
		r.P50, r.P99, r.Max = FormatDuration(float64(l.P50NS)), FormatDuration(float64(l.P99NS)), FormatDuration(float64(l.MaxNS))
		r.Peak, r.Maps = FormatBytes(float64(e.s.Limbo.PeakBytes)), strconv.FormatUint(e.s.Limbo.PeakMaps, 10)
	}
	if r.Observed == "" {
		r.Observed = none
	} else if e.s.Strategy.Observed != e.s.Strategy.Requested {
		r.Mismatch = "not what was requested"
	}
	return r
}

// status is a fact about the run's soundness that nobody should overlook.
type status struct {
	Level string // ok, warn, bad
	Name  string
	Text  string
}

// statusesOf always says something of loss, balance, strategies and pending
// deaths, so that silence never has to be interpreted.
func statusesOf(entries []*entry) []status {
	var lost, puts, freed, inFlight, lostPuts, pending uint64
	unbalanced, mismatched := 0, 0
	for _, e := range entries {
		for _, n := range e.s.Loss {
			lost += n
		}
		for _, t := range e.s.Trials {
			puts, freed, inFlight, lostPuts = puts+t.Puts, freed+t.Freed, inFlight+t.InFlight, lostPuts+t.Lost
			if t.Pending != nil {
				pending += t.Pending.N
			}
			if t.Balance() != nil {
				unbalanced++
			}
		}
		if e.s.Strategy.Observed != "" && e.s.Strategy.Observed != e.s.Strategy.Requested {
			mismatched++
		}
	}
	out := []status{
		{"ok", "Loss", "none"},
		{"ok", "Balance", fmt.Sprintf("%d puts = %d freed + %d in flight + %d lost", puts, freed, inFlight, lostPuts)},
		{"ok", "Strategies", "all as requested"},
		{"ok", "Pending", "none"},
	}
	nothingFreed := !slices.ContainsFunc(entries, func(e *entry) bool { return !metricsOnly(e.s) })
	if lost+lostPuts > 0 {
		out[0] = status{"bad", "Loss", plural(max(lost, lostPuts), "event") + " lost: figures are incomplete"}
	}
	if unbalanced > 0 {
		out[1] = status{"bad", "Balance", plural(uint64(unbalanced), "trial") + " without balance"}
	}
	if mismatched > 0 {
		out[2] = status{"warn", "Strategies", fmt.Sprintf("%d of %d took another way", mismatched, len(entries))}
	}
	if pending > 0 {
		out[3] = status{"warn", "Pending", plural(pending, "death") + " not ended: figures are lower bounds"}
	}
	if nothingFreed && len(entries) > 0 {
		return out[:1]
	}
	return out
}

// alertsOf are the messages that go to the top of the page.
func alertsOf(runs []*Loaded, entries []*entry) []status {
	var out []status
	add := func(level, run, text string) {
		s := status{Level: level, Text: analyze.SafeText(text)}
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
			add("bad", l.Name, "Partial run: "+orElse(l.Run.PartialReason, "not everything that was asked for was done"))
		}
		for _, n := range l.Notes {
			add("bad", l.Name, n)
		}
	}
	for _, e := range entries {
		if text := results.LossText(e.s.Loss); text != "none" {
			add("bad", e.run.Name, "Loss in "+e.s.ID+": "+text)
		}
		for _, t := range e.s.Trials {
			if err := t.Balance(); err != nil {
				add("bad", e.run.Name, e.s.ID+": "+err.Error())
			}
			for _, f := range t.Failures {
				add("bad", e.run.Name, fmt.Sprintf("%s trial %d: %s", e.s.ID, t.Index, f))
			}
			if t.Pending != nil && t.Pending.N > 0 {
				pending[e.s.ID] = true
				add("warn", e.run.Name, fmt.Sprintf("%s trial %d: %s still in limbo when the trial ended, pending ≥ %s, the oldest ≥ %s", e.s.ID, t.Index,
					plural(t.Pending.N, "map"), FormatDuration(float64(t.Pending.MinNS)), FormatDuration(float64(t.Pending.MaxNS))))
			}
		}
	}
	for _, l := range runs {
		mismatches := analyze.Mismatches(l.Run)
		for _, w := range append(slices.Clone(mismatches), l.Run.Warnings...) {
			// A run keeps the mismatches that were found when it was made.
			if slices.ContainsFunc(mismatches, func(m string) bool { return m != w && strings.HasPrefix(m, w) }) {
				continue
			}
			add("warn", l.Name, w)
		}
	}
	for _, e := range entries {
		said := func(w string) bool {
			return pending[e.s.ID] && strings.HasSuffix(w, "still pending when the trial ended")
		}
		for _, w := range e.s.Warnings {
			if !said(w) {
				add("warn", e.run.Name, e.s.ID+": "+w)
			}
		}
		for _, t := range e.s.Trials {
			for _, w := range t.Warnings {
				if !slices.Contains(e.s.Warnings, w) && !said(w) {
					add("warn", e.run.Name, fmt.Sprintf("%s trial %d: %s", e.s.ID, t.Index, w))
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b status) int { return strings.Compare(a.Level, b.Level) }) // bad, warn
	return out
}
