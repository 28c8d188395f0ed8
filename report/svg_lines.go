// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strings"
)

// plotLine is one line of a chart, in the units of its axes.
type plotLine struct {
	label  string
	color  string // CSS classes
	entry  string // ID
	points []point
}

// linePlot is a chart of lines over two axes. The server draws it; with
// JavaScript the page replaces it with one that can be pointed at.
type linePlot struct {
	id, title string
	kind      string // how the script formats values: "percentile" or "bytes"
	x, y      scale
	lines     []plotLine
	step      bool // values hold until the next one
	height    int
}

const (
	yAxisWidth  = 68
	xAxisHeight = 26
	plotTop     = 10 // room for half a label
)

// draw writes the axes as text and lines that keep their size, and the lines
// in an inner image that is stretched to fit.
func (p *linePlot) draw(m *markup) {
	h := float64(p.height)
	m.rawf(`<div class="plot" id="%s"><svg class="yaxis" width="%d" height="%s" aria-hidden="true" focusable="false">`,
		p.id, yAxisWidth, num(h+plotTop+xAxisHeight))
	for _, t := range p.y.ticks {
		if t.label != "" {
			m.rawf(`<text class="tick" x="%d" y="%s" text-anchor="end" dominant-baseline="middle">`, yAxisWidth-8, num(plotTop+h*(1-p.y.at(t.value))))
			m.text(t.label)
			m.raw(`</text>`)
		}
	}
	m.rawf(`</svg><svg class="area" height="%s" role="img" aria-label="`, num(h+plotTop+xAxisHeight))
	m.text(p.title)
	m.raw(`">`)
	for _, t := range p.y.ticks {
		y := num(plotTop + h*(1-p.y.at(t.value)))
		m.rawf(`<line class="grid" x1="0" x2="100%%" y1="%s" y2="%s"/>`, y, y)
	}
	for _, t := range p.x.ticks {
		x := percent(p.x.at(t.value))
		m.rawf(`<line class="grid" x1="%s" x2="%s" y1="%d" y2="%s"/>`, x, x, plotTop, num(plotTop+h))
		if t.label == "" {
			continue
		}
		m.rawf(`<text class="tick" x="%s" y="%s" text-anchor="%s">`, x, num(plotTop+h+18), anchor(p.x.at(t.value)))
		m.text(t.label)
		m.raw(`</text>`)
	}
	m.rawf(`<svg y="%d" width="100%%" height="%s" viewBox="0 0 1000 1000" preserveAspectRatio="none">`, plotTop, num(h))
	for _, l := range p.lines {
		m.rawf(`<path class="ln %s e-%s" d="%s"/>`, l.color, l.entry, p.path(l.points))
	}
	m.raw(`</svg></svg></div>`)
}

// anchor keeps labels at the edges inside.
func anchor(at float64) string {
	switch {
	case at < 0.02:
		return "start"
	case at > 0.98:
		return "end"
	}
	return "middle"
}

func (p *linePlot) path(points []point) string {
	var b strings.Builder
	for i, q := range points {
		x, y := num(1000*p.x.at(q.x)), num(1000*(1-p.y.at(q.y)))
		switch {
		case i == 0:
			fmt.Fprintf(&b, "M%s %s", x, y)
		case p.step:
			fmt.Fprintf(&b, "H%sV%s", x, y)
		default:
			fmt.Fprintf(&b, "L%s %s", x, y)
		}
	}
	return b.String()
}

// plotData is a linePlot as the page's script gets it.
type plotData struct {
	ID     string     `json:"id"`
	Title  string     `json:"title"`
	Kind   string     `json:"kind"`
	Step   bool       `json:"step,omitempty"`
	LogY   bool       `json:"logY,omitempty"`
	X      [2]float64 `json:"x"`
	Y      [2]float64 `json:"y"`
	XTicks []tickData `json:"xticks"`
	YTicks []tickData `json:"yticks"`
	Lines  []lineData `json:"lines"`
	Height int        `json:"height"`
}

type tickData struct {
	Value float64 `json:"v"`
	Label string  `json:"l"`
}

type lineData struct {
	Label string   `json:"label"`
	Color string   `json:"color"`
	Entry string   `json:"entry"`
	X     compacts `json:"x"`
	Y     compacts `json:"y"`
}

// compacts are numbers that are written with four significant digits: more
// than a screen can show, and half the size.
type compacts []float64

// MarshalJSON implements json.Marshaler.
func (c compacts) MarshalJSON() ([]byte, error) {
	out := make([]json.Number, len(c))
	for i, v := range c {
		out[i] = json.Number(compact(v))
	}
	return json.Marshal(out)
}

func compact(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	s := fmt.Sprintf("%.4g", v)
	return strings.Replace(s, "e+", "e", 1)
}

func (p *linePlot) data() plotData {
	d := plotData{ID: p.id, Title: p.title, Kind: p.kind, Step: p.step, LogY: p.y.log, Height: p.height,
		X: [2]float64{p.x.lo, p.x.hi}, Y: [2]float64{p.y.lo, p.y.hi}}
	for _, t := range p.x.ticks {
		d.XTicks = append(d.XTicks, tickData{t.value, t.label})
	}
	for _, t := range p.y.ticks {
		d.YTicks = append(d.YTicks, tickData{t.value, t.label})
	}
	for _, l := range p.lines {
		ld := lineData{Label: l.label, Color: l.color, Entry: l.entry}
		for _, q := range l.points {
			ld.X, ld.Y = append(ld.X, q.x), append(ld.Y, q.y)
		}
		d.Lines = append(d.Lines, ld)
	}
	return d
}

// chart is one or more plots that share their axes, with one legend.
type chart struct {
	HTML   template.HTML
	Legend []legendItem
	Note   string
	plots  []*linePlot
}

// data is the plots as the page's script gets them.
func (c *chart) data() []plotData {
	out := make([]plotData, 0, len(c.plots))
	for _, p := range c.plots {
		out = append(out, p.data())
	}
	return out
}

// legendItem is a line of a legend.
type legendItem struct{ Label, Color string }

func legendOf(entries []*entry) []legendItem {
	var out []legendItem
	seen := map[string]bool{}
	for _, e := range entries {
		if !seen[e.Series] {
			seen[e.Series] = true
			out = append(out, legendItem{e.Series, e.Color})
		}
	}
	return out
}

// drawFacets writes plots side by side, each under its name.
func drawFacets(plots []*linePlot, names []string) template.HTML {
	var m markup
	class := "facets"
	if len(plots) == 1 {
		class += " one"
	}
	m.rawf(`<div class="%s">`, class)
	for i, p := range plots {
		m.raw(`<figure class="facet">`)
		if len(plots) > 1 && names[i] != "" {
			m.raw(`<figcaption>`)
			m.text(names[i])
			m.raw(`</figcaption>`)
		}
		p.draw(&m)
		m.raw(`</figure>`)
	}
	m.raw(`</div>`)
	return m.html()
}
