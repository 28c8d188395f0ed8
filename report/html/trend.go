// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"html/template"
	"io"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/chart"
	"github.com/mapprof/mapprof/report/model"
)

// Trend is one figure over many runs.
type Trend struct {
	Figure   string
	Scenario string // the only one that is shown; empty: all
	History  *history.History
	Hrefs    []string // of the history's runs
	Selects  []Choice
	Keep     []Fact // form fields that a choice keeps
	AllHref  string // of a page of all figures
	Left     int    // older runs that aren't shown
	Problem  string // why some of what there is isn't shown

	Summary  string
	Charts   []trendChart
	Fold     bool // the tables
	Method   []string
	Warnings []string
}

// trendChart is a scenario's course of the figure.
type trendChart struct {
	Name, Unit string
	Chart      template.HTML
	Rows       []trendRow
}

// trendRow is a run's value.
type trendRow struct {
	Run, Directory, Href string
	Started, Kernel      string
	Value                string
	Trials               int
	Change               *Status // "bad" where it got worse; nil: none
	Blame                []string
}

// maxOpenTables is how many scenarios' tables are not folded away.
const maxOpenTables = 2

// WriteTrend writes the page of a figure over runs.
func WriteTrend(w io.Writer, t *Trend) error {
	h := t.History
	t.Summary, t.Method = model.HistorySummary(h), model.HistoryMethod(h)
	for i := range h.Scenarios {
		sc := &h.Scenarios[i]
		for j := range sc.Series {
			if t.Scenario == "" || t.Scenario == sc.Name {
				t.Charts = append(t.Charts, t.chartOf(sc.Name, &sc.Series[j]))
			}
		}
	}
	t.Fold = len(t.Charts) > maxOpenTables
	for _, warning := range h.Warnings {
		t.Warnings = append(t.Warnings, safetext.Text(warning))
	}
	if err := pageTemplate.ExecuteTemplate(w, "trend.html", t); err != nil {
		return fmt.Errorf("write trend: %w", err)
	}
	return nil
}

func (t *Trend) chartOf(scenario string, s *history.Series) trendChart {
	h := t.History
	out := trendChart{Name: safetext.Text(scenario), Unit: s.Unit, Chart: chart.Trend(h, s)}
	points := map[int]history.Point{}
	for _, p := range s.Points {
		points[p.At] = p
	}
	for i, v := range s.Values {
		run := &h.Runs[v.Run]
		row := trendRow{Run: run.Text(), Href: t.Hrefs[v.Run], Kernel: safetext.Name(run.Kernel), Trials: v.Trials,
			Value: model.FormatFigure(v.Median, v.Trials, s.Unit)}
		if run.Label != "" {
			row.Directory = safetext.Name(run.Name)
		}
		if !run.Started.IsZero() {
			row.Started = run.Started.UTC().Format("2006-01-02 15:04 UTC")
		}
		if p, changed := points[i]; changed {
			row.Change = &Status{Level: "ok", Name: p.Effect, Text: fmt.Sprintf("%s (p %s)", model.HistoryPoint(s, p), model.FormatP(p.P))}
			if p.Effect == compare.EffectWorse {
				row.Change.Level = "bad"
			}
			row.Blame = model.HistoryBlame(h, history.Change{Run: p.Run})
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}
