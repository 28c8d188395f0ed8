// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
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

// headlineGroups parts entries by what the strategies have in common.
func headlineGroups(entries []*model.Entry) [][]*model.Entry {
	var out [][]*model.Entry
	index := map[string]int{}
	for _, e := range entries {
		key := fmt.Sprintf("%d\x00%d\x00%s\x00%s\x00%s\x00%s", e.RunIndex, e.Scenario.TargetIx, e.Scenario.KernelName(), e.Scenario.Workload, e.Scenario.Loop, model.ParamsText(e.Scenario.Params))
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

func headlinesOf(entries []*model.Entry, runs int) []headline {
	short := model.ShortKernels(entries)
	var out []headline
	for _, list := range headlineGroups(entries) {
		e := list[0]
		g := &model.Group{Target: e.Target, Workload: e.Scenario.Workload, Loop: e.Scenario.Loop}
		for _, e := range list {
			g.Scenarios = append(g.Scenarios, e.Scenario)
		}
		h := headline{Kernel: short[e.Scenario.KernelName()], Where: workloadText(e.Scenario) + " · " + g.Subtitle()}
		if runs > 1 {
			h.Kernel = e.Loaded.Name + " · " + h.Kernel
		}
		if g.MetricsOnly() {
			h.Sentence, h.Blame = costSentence(list, short[e.Scenario.KernelName()])
		} else {
			h.Sentence, h.Blame = sentence(list, short[e.Scenario.KernelName()])
		}
		for _, e := range list {
			if g.MetricsOnly() {
				h.Costs = append(h.Costs, costRows(e.Scenario)...)
			} else {
				h.Rows = append(h.Rows, headlineRowOf(e))
			}
			h.Found = append(h.Found, findingsOf(e.Scenario)...)
		}
		out = append(out, h)
	}
	return out
}

// workloadText names the maps; subtitle names the workload itself.
func workloadText(s *results.Scenario) string {
	inner, outer := safetext.Name(s.Params["inner"]), safetext.Name(s.Params["outer"])
	switch {
	case inner != "" && outer != "":
		return inner + " in " + outer
	case inner != "":
		return inner
	}
	return model.ParamsText(s.Params)
}

func sentence(list []*model.Entry, kernel string) (out []span, blame string) {
	list = slices.DeleteFunc(slices.Clone(list), func(e *model.Entry) bool { return model.Deaths(e.Scenario) == 0 })
	if len(list) == 0 {
		return []span{{Text: "On " + kernel + " no map was seen to be freed."}}, ""
	}
	p50 := func(e *model.Entry) int64 { return e.Scenario.Phases[results.PhaseLimbo].P50NS }
	sort.SliceStable(list, func(a, b int) bool { return p50(list[a]) > p50(list[b]) })
	out = append(out, span{Text: "On " + kernel + " a freed map stays in memory "})
	for i, e := range list {
		if i > 0 && i == len(list)-1 {
			out = append(out, span{Text: " and "})
		} else if i > 0 {
			out = append(out, span{Text: ", "})
		}
		out = append(out, span{Text: model.FormatDuration(float64(p50(e))), Figure: true, Value: strconv.FormatInt(p50(e), 10), Scenario: e.Scenario.ID, Class: e.Color})
		words := "with " + model.StrategyName(e.Scenario)
		if s, ok := results.StrategyNamed(e.Scenario.Strategy.Requested); ok {
			words = s.Sentence
		}
		if o := e.Scenario.Strategy.Observed; o != "" && !e.Scenario.Strategy.AsRequested() {
			words += " (the kernel took the way of " + safetext.Name(o) + ")"
		}
		out = append(out, span{Text: " " + words})
	}
	first, last := list[0], list[len(list)-1]
	if len(list) > 1 && p50(last) > 0 {
		out = append(out, span{Text: ": " + model.FormatRatio(float64(p50(first))/float64(p50(last))) + " as long"})
	}
	out = append(out, span{Text: "."})
	if phase, share := model.LongestPhase(first.Scenario.Phases); phase != "" {
		blame = fmt.Sprintf("%s of the longest is %s.", model.FormatShare(share), model.PhaseNoun(phase))
	}
	if note := model.BatchNote(first.Scenario); note != "" {
		blame += " Updates wait" + note + "."
	}
	most := slices.MaxFunc(list, func(a, b *model.Entry) int { return int(a.Scenario.Limbo.PeakMaps) - int(b.Scenario.Limbo.PeakMaps) })
	if l := most.Scenario.Limbo; l.PeakMaps > 0 {
		blame += fmt.Sprintf(" At the peak %s in %s, which no list of maps shows any more.", model.FormatBytes(float64(l.PeakBytes)), model.Plural(l.PeakMaps, "map"))
	}
	return out, blame
}

func headlineRowOf(e *model.Entry) headlineRow {
	l := e.Scenario.Phases[results.PhaseLimbo]
	r := headlineRow{Label: model.StrategyName(e.Scenario), Color: e.Color, N: strconv.FormatUint(l.N, 10), P50: model.None, P99: model.None, Max: model.None, Peak: model.None, Maps: model.None,
		Observed: safetext.Name(e.Scenario.Strategy.Observed)}
	if l.N > 0 {
		cells := model.DurationCells(l, true)
		r.P50, r.P99, r.Max = cells[0], cells[2], cells[3]
		r.Peak, r.Maps = model.FormatBytes(float64(e.Scenario.Limbo.PeakBytes)), strconv.FormatUint(e.Scenario.Limbo.PeakMaps, 10)
	}
	if r.Observed == "" {
		r.Observed = model.None
	} else if !e.Scenario.Strategy.AsRequested() {
		r.Mismatch = "not what was requested"
	}
	return r
}
