// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"html/template"
	"math"

	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/report/model"
)

const (
	courseHeight = 110
	trendHeight  = 260
	trendDates   = 22 // below it
)

// Course is a figure over the runs of a history: a dot for each run, the level
// between changes as a line, and a mark where it changed.
func Course(h *history.History, s *history.Series) template.HTML {
	return drawCourse(h, s, courseHeight, 1, 0)
}

// Trend is Course for a page of its own: larger, with more of a scale and dates.
func Trend(h *history.History, s *history.Series) template.HTML {
	return drawCourse(h, s, trendHeight, 4, trendDates)
}

// drawCourse parts the scale into so many steps, and leaves room below for dates.
func drawCourse(h *history.History, s *history.Series, height, steps, below int) template.HTML {
	y := courseScale(s)
	x := func(run int) float64 { return (float64(run) + 0.5) / float64(len(h.Runs)) }
	at := func(v float64) string { return num(plotTop + float64(height)*(1-y.At(v))) }
	whole := height + 2*plotTop
	lines := make([]float64, steps+1)
	for i := range lines {
		lines[i] = y.Lo + (y.Hi-y.Lo)*float64(i)/float64(steps)
	}
	var m markup
	m.raw(`<figure class="facet"><figcaption>`)
	m.text(s.Figure)
	m.rawf(`</figcaption><div class="plot"><svg class="yaxis" width="%d" height="%d" aria-hidden="true" focusable="false">`, yAxisWidth, whole)
	for _, v := range lines {
		m.rawf(`<text class="tick" x="%d" y="%s" text-anchor="end" dominant-baseline="middle">`, yAxisWidth-8, at(v))
		m.text(model.FormatFigure(v, 1, s.Unit))
		m.raw(`</text>`)
	}
	m.rawf(`</svg><svg class="area" height="%d" role="img" aria-label="`, whole+below)
	m.text(s.Figure + " by run")
	m.raw(`">`)
	for _, v := range lines {
		m.rawf(`<line class="grid" x1="0" x2="100%%" y1="%s" y2="%s"/>`, at(v), at(v))
	}
	if below > 0 {
		drawDates(&m, h, whole+below-6)
	}
	from := 0
	for i := range len(s.Points) + 1 {
		to := len(s.Values)
		if i < len(s.Points) {
			p := s.Points[i]
			to = p.At
			edge := percent((x(s.Values[p.At-1].Run) + x(p.Run)) / 2)
			m.rawf(`<line class="point %s" x1="%s" x2="%s" y1="0" y2="%d"><title>`, p.Effect, edge, edge, whole)
			m.text(fmt.Sprintf("%s %s at %s (p %s)", model.HistoryPoint(s, p), p.Effect, model.HistoryRun(&h.Runs[p.Run]), model.FormatP(p.P)))
			m.raw(`</title></line>`)
		}
		level := at(s.Level(from, to))
		m.rawf(`<line class="level" x1="%s" x2="%s" y1="%s" y2="%s"/>`, percent(x(s.Values[from].Run)), percent(x(s.Values[to-1].Run)), level, level)
		from = to
	}
	for _, v := range s.Values {
		m.rawf(`<circle class="dot" r="3" cx="%s" cy="%s"><title>`, percent(x(v.Run)), at(v.Median))
		m.text(model.HistoryRun(&h.Runs[v.Run]) + ": " + model.FormatFigure(v.Median, v.Trials, s.Unit))
		m.raw(`</title></circle>`)
	}
	m.raw(`</svg></div></figure>`)
	return m.html()
}

// drawDates writes when the first and the last run began.
func drawDates(m *markup, h *history.History, y int) {
	for _, end := range []struct {
		run       *history.Run
		x, anchor string
	}{{&h.Runs[0], "0", "start"}, {&h.Runs[len(h.Runs)-1], "100%", "end"}} {
		if len(h.Runs) == 1 && end.anchor == "end" || end.run.Started.IsZero() {
			continue
		}
		m.rawf(`<text class="tick" x="%s" y="%d" text-anchor="%s">`, end.x, y, end.anchor)
		m.text(end.run.Started.UTC().Format("2006-01-02"))
		m.raw(`</text>`)
	}
}

// courseScale spans the values, and twice the smallest change that counts at
// least: less lies in the middle.
func courseScale(s *history.Series) model.Scale {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range s.Values {
		lo, hi = min(lo, v.Median), max(hi, v.Median)
	}
	if room := 2*s.Threshold*max(math.Abs(lo), math.Abs(hi)) - (hi - lo); room > 0 {
		lo, hi = lo-room/2, hi+room/2
	}
	if lo == hi {
		hi++
	}
	return model.Scale{Lo: lo, Hi: hi}
}
