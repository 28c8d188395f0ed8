// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/chart"
	"github.com/mapprof/mapprof/report/model"
)

// historyView is a history as the page shows it.
type historyView struct {
	Summary   string
	Changes   []changedRun
	Scenarios []historyScenario
	Method    []string
	Warnings  []string
}

// changedRun is a run at which figures changed.
type changedRun struct {
	Run     string
	Figures []Status // "bad" where it got worse
	Blame   []string
}

// historyScenario has the charts of a scenario's figures: those that most people
// look at, and the others.
type historyScenario struct {
	Name         string
	Charts, More []template.HTML
	Changed      int // of More
}

func historyViewOf(h *history.History) *historyView {
	v := &historyView{Summary: model.HistorySummary(h), Method: model.HistoryMethod(h)}
	for _, c := range h.Changes() {
		row := changedRun{Run: model.HistoryRun(&h.Runs[c.Run]), Blame: model.HistoryBlame(h, c)}
		for _, f := range model.HistoryFigures(c) {
			level := "ok"
			if f.Effect == compare.EffectWorse {
				level = "bad"
			}
			row.Figures = append(row.Figures, Status{Level: level, Name: f.Effect, Text: f.Scenario + ": " + f.Figures})
		}
		v.Changes = append(v.Changes, row)
	}
	first := mainFigures()
	for i := range h.Scenarios {
		sc := historyScenario{Name: h.Scenarios[i].Name}
		for j := range h.Scenarios[i].Series {
			s := &h.Scenarios[i].Series[j]
			drawn := chart.Course(h, s)
			if slices.Contains(first, s.Figure) {
				sc.Charts = append(sc.Charts, drawn)
				continue
			}
			sc.More = append(sc.More, drawn)
			if len(s.Points) > 0 {
				sc.Changed++
			}
		}
		if len(sc.Charts) == 0 {
			sc.Charts, sc.More = sc.More, nil
		}
		v.Scenarios = append(v.Scenarios, sc)
	}
	for _, w := range h.Warnings {
		v.Warnings = append(v.Warnings, safetext.Text(w))
	}
	return v
}

// historyOf is the history of a report's runs; nil: there is none to be shown.
func historyOf(runs []*model.Loaded) *historyView {
	switch h, err := model.HistoryOf(runs); {
	case err != nil:
		return &historyView{Summary: safetext.Text(err.Error())}
	case h != nil:
		return historyViewOf(h)
	}
	return nil
}

// historyPage is a page of a history alone.
type historyPage struct {
	Title   string
	Live    bool // a server has its style
	CSP     string
	Style   template.CSS
	History *historyView
}

// WriteHistory writes one file that shows a history, with everything in it: no
// network and no script.
func WriteHistory(w io.Writer, h *history.History) error {
	style := pageStyle()
	return writeHistory(w, &historyPage{Style: template.CSS(style),
		CSP:     fmt.Sprintf("default-src 'none'; style-src '%s'; base-uri 'none'; form-action 'none'", sourceHash(style)),
		History: historyViewOf(h)})
}

// WriteLiveHistory writes the page of a history for a server that has its style.
func WriteLiveHistory(w io.Writer, h *history.History) error {
	return writeHistory(w, &historyPage{Live: true, History: historyViewOf(h)})
}

func writeHistory(w io.Writer, p *historyPage) error {
	p.Title = "History"
	if err := pageTemplate.ExecuteTemplate(w, "history.html", p); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}
