// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/mapprof/mapprof/report/model"
)

// plotLine is one line of a chart, in the units of its axes.
type plotLine struct {
	label  string
	color  string // CSS classes
	entry  string // ID
	points []model.Point
}

// linePlot is a chart of lines over two axes. The server draws it; with
// JavaScript the page replaces it with one that can be pointed at.
type linePlot struct {
	id, title string
	kind      string // how the script formats values: "percentile" or "bytes"
	x, y      model.Scale
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
	for _, t := range p.y.Ticks {
		if t.Label != "" {
			m.rawf(`<text class="tick" x="%d" y="%s" text-anchor="end" dominant-baseline="middle">`, yAxisWidth-8, num(plotTop+h*(1-p.y.At(t.Value))))
			m.text(t.Label)
			m.raw(`</text>`)
		}
	}
	m.rawf(`</svg><svg class="area" height="%s" role="img" aria-label="`, num(h+plotTop+xAxisHeight))
	m.text(p.title)
	m.raw(`">`)
	for _, t := range p.y.Ticks {
		y := num(plotTop + h*(1-p.y.At(t.Value)))
		m.rawf(`<line class="grid" x1="0" x2="100%%" y1="%s" y2="%s"/>`, y, y)
	}
	for _, t := range p.x.Ticks {
		x := percent(p.x.At(t.Value))
		m.rawf(`<line class="grid" x1="%s" x2="%s" y1="%d" y2="%s"/>`, x, x, plotTop, num(plotTop+h))
		if t.Label == "" {
			continue
		}
		m.rawf(`<text class="tick" x="%s" y="%s" text-anchor="%s">`, x, num(plotTop+h+18), anchor(p.x.At(t.Value)))
		m.text(t.Label)
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

func (p *linePlot) path(points []model.Point) string {
	var b strings.Builder
	for i, q := range points {
		x, y := num(1000*p.x.At(q.X)), num(1000*(1-p.y.At(q.Y)))
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

// PlotData is a linePlot as the page's script gets it.
type PlotData struct {
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

func (p *linePlot) data() PlotData {
	d := PlotData{ID: p.id, Title: p.title, Kind: p.kind, Step: p.step, LogY: p.y.Log, Height: p.height,
		X: [2]float64{p.x.Lo, p.x.Hi}, Y: [2]float64{p.y.Lo, p.y.Hi}}
	for _, t := range p.x.Ticks {
		d.XTicks = append(d.XTicks, tickData{t.Value, t.Label})
	}
	for _, t := range p.y.Ticks {
		d.YTicks = append(d.YTicks, tickData{t.Value, t.Label})
	}
	for _, l := range p.lines {
		ld := lineData{Label: l.label, Color: l.color, Entry: l.entry}
		for _, q := range l.points {
			ld.X, ld.Y = append(ld.X, q.X), append(ld.Y, q.Y)
		}
		d.Lines = append(d.Lines, ld)
	}
	return d
}

// Chart is one or more plots that share their axes, with one legend.
type Chart struct {
	HTML   template.HTML
	Legend []LegendItem
	Note   string
	plots  []*linePlot
}

// Data is the plots as the page's script gets them.
func (c *Chart) Data() []PlotData {
	out := make([]PlotData, 0, len(c.plots))
	for _, p := range c.plots {
		out = append(out, p.data())
	}
	return out
}

// LegendItem is a line of a legend.
type LegendItem struct{ Label, Color string }

func legendOf(entries []*model.Entry) []LegendItem {
	var out []LegendItem
	seen := map[string]bool{}
	for _, e := range entries {
		if !seen[e.Series] {
			seen[e.Series] = true
			out = append(out, LegendItem{e.Series, e.Color})
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
