// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"sort"
	"strconv"

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
