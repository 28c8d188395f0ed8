// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/internal/safetext"
)

// minHistoryRuns is how many runs of a scenario a report shows as a history too.
const minHistoryRuns = 3

// HistoryOf is the history of those scenarios of a report's runs of which there
// are enough; nil: of none.
func HistoryOf(runs []*Loaded) (*history.History, error) {
	if len(runs) < minHistoryRuns {
		return nil, nil
	}
	inputs := make([]history.Input, len(runs))
	for i, l := range runs {
		inputs[i] = history.Input{Name: l.Name, Run: l.Run}
	}
	h, err := history.OfInputs(inputs, history.Options{})
	if err != nil {
		return nil, err
	}
	h.Scenarios = slices.DeleteFunc(h.Scenarios, func(sc history.Scenario) bool {
		return !slices.ContainsFunc(sc.Series, func(s history.Series) bool { return len(s.Values) >= minHistoryRuns })
	})
	if len(h.Scenarios) == 0 {
		return nil, nil
	}
	return h, nil
}

// HistorySummary says in a line how many runs there are and how much changed.
func HistorySummary(h *history.History) string {
	text := Plural(uint64(len(h.Runs)), "run")
	if n := len(h.Runs); n > 1 && !h.Runs[0].Started.IsZero() {
		text += " from " + day(&h.Runs[0]) + " to " + day(&h.Runs[n-1])
	}
	points, series := 0, 0
	for _, sc := range h.Scenarios {
		for _, s := range sc.Series {
			points += len(s.Points)
			if len(s.Points) > 0 {
				series++
			}
		}
	}
	switch {
	case h.Tested == 0:
		return text + ": too few to find changes in, which takes " + strconv.Itoa(h.MinRuns)
	case points == 0:
		return fmt.Sprintf("%s: no change in any of %s", text, figures(h.Tested))
	}
	return fmt.Sprintf("%s: %s in %d of %s", text, Plural(uint64(points), "change"), series, figures(h.Tested))
}

func figures(n int) string { return Plural(uint64(n), "figure") }

func day(r *history.Run) string { return r.Started.UTC().Format("2006-01-02") }

// HistoryMethod says how points are found, and how many chance makes.
func HistoryMethod(h *history.History) []string {
	out := []string{"each value is a run's median over its trials; a change is where E-divisive means parts the runs, and runs in another order do as well at most once in " +
		strconv.FormatFloat(1/h.Alpha, 'f', 0, 64) + "; range: the least and the greatest run since the last change, apart"}
	if h.Tested > 0 {
		out = append(out, fmt.Sprintf("chance alone makes about %s changes in as many figures; a change of the last %d runs can't be told yet (mapprof gate judges those)",
			strconv.FormatFloat(h.Alpha*float64(h.Tested), 'f', 1, 64), history.MinLevel-1))
	}
	return out
}

// HistoryRun names a run: its label, its directory, its time and its kernel.
func HistoryRun(r *history.Run) string {
	text := r.Text()
	if r.Label != "" {
		text += " (" + safetext.Name(r.Name) + ")"
	}
	if !r.Started.IsZero() {
		text += ", " + r.Started.UTC().Format("2006-01-02 15:04 UTC")
	}
	if r.Kernel != "" {
		text += ", kernel " + safetext.Name(r.Kernel)
	}
	return text
}

// HistoryRates says how often points were found where it is known whether there
// is one.
func HistoryRates(t history.SelfTest) string {
	rate := func(hits int) string {
		lo, hi := analyze.ExactInterval(hits, t.Series, 0.95)
		return fmt.Sprintf("%d of %d (%.2f %% … %.2f %%)", hits, t.Series, 100*lo, 100*hi)
	}
	return fmt.Sprintf(`made-up series of %d runs that scatter by %g %%
no change: a point in %s
%g %% worse from the middle on: found within one run in %s, another point in %s
`, history.SelfTestRuns, 100*history.SelfTestScatter, rate(t.Unchanged), 100*history.SelfTestChange, rate(t.Found), rate(t.Extra))
}

// ChangedFigures are the figures of a scenario that got worse at a run, or better.
type ChangedFigures struct{ Scenario, Effect, Figures string }

// HistoryFigures says what became of figures at a run.
func HistoryFigures(c history.Change) []ChangedFigures {
	var out []ChangedFigures
	for _, f := range c.Figures {
		text := safetext.Name(f.Series.Figure) + " " + HistoryPoint(f.Series, f.Point)
		at := slices.IndexFunc(out, func(o ChangedFigures) bool { return o.Scenario == f.Scenario.Name && o.Effect == f.Point.Effect })
		if at >= 0 {
			out[at].Figures += ", " + text
		} else {
			out = append(out, ChangedFigures{f.Scenario.Name, f.Point.Effect, text})
		}
	}
	return out
}

// HistoryPoint says how much a figure changed.
func HistoryPoint(s *history.Series, p history.Point) string {
	if p.Relative == nil {
		return "from 0 to " + FormatFigure(p.After, 1, s.Unit)
	}
	change := strconv.FormatFloat(100*math.Abs(*p.Relative), 'f', 1, 64) + "%"
	if *p.Relative < 0 {
		return "−" + change
	}
	return "+" + change
}

// HistoryBlame says what else was new with the run of a change.
func HistoryBlame(h *history.History, c history.Change) []string {
	var out []string
	for _, l := range h.Runs[c.Run].Changed {
		out = append(out, "new with it: "+safetext.Text(l))
	}
	if len(out) == 0 {
		out = append(out, "nothing else is new with it: the kernel, mapprof, QEMU and the host are those of "+h.Runs[c.Run-1].Text())
	}
	return out
}
