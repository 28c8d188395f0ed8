// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"html/template"
	"math"

	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/report/model"
)

const courseHeight = 110

// Course is a figure over the runs of a history: a dot for each run, the level
// between changes as a line, and a mark where it changed.
func Course(h *history.History, s *history.Series) template.HTML {
	y := courseScale(s)
	x := func(run int) float64 { return (float64(run) + 0.5) / float64(len(h.Runs)) }
	at := func(v float64) string { return num(plotTop + courseHeight*(1-y.At(v))) }
	var m markup
	m.raw(`<figure class="facet"><figcaption>`)
	m.text(s.Figure)
	m.rawf(`</figcaption><div class="plot"><svg class="yaxis" width="%d" height="%d" aria-hidden="true" focusable="false">`, yAxisWidth, courseHeight+2*plotTop)
	for _, v := range []float64{y.Lo, y.Hi} {
		m.rawf(`<text class="tick" x="%d" y="%s" text-anchor="end" dominant-baseline="middle">`, yAxisWidth-8, at(v))
		m.text(model.FormatFigure(v, 1, s.Unit))
		m.raw(`</text>`)
	}
	m.rawf(`</svg><svg class="area" height="%d" role="img" aria-label="`, courseHeight+2*plotTop)
	m.text(s.Figure + " by run")
	m.rawf(`"><line class="grid" x1="0" x2="100%%" y1="%s" y2="%s"/><line class="grid" x1="0" x2="100%%" y1="%s" y2="%s"/>`, at(y.Lo), at(y.Lo), at(y.Hi), at(y.Hi))
	from := 0
	for i := range len(s.Points) + 1 {
		to := len(s.Values)
		if i < len(s.Points) {
			p := s.Points[i]
			to = p.At
			edge := percent((x(s.Values[p.At-1].Run) + x(p.Run)) / 2)
			m.rawf(`<line class="point %s" x1="%s" x2="%s" y1="0" y2="%d"><title>`, p.Effect, edge, edge, courseHeight+2*plotTop)
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
