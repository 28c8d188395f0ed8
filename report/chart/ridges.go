// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"math"

	"github.com/mapprof/mapprof/report/model"
)

// Ridges is the distribution of a phase: one hill per entry over one time
// axis, each as high as its own fullest bin; nil: there is nothing to draw.
func Ridges(entries []*model.Entry, phase string) *Chart {
	first, last := math.MaxInt, math.MinInt
	var drawn []*model.Entry
	for _, e := range entries {
		c := e.Curve(phase)
		if c == nil {
			continue
		}
		drawn = append(drawn, e)
		for b := range c.Bins {
			first, last = min(first, b), max(last, b)
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	x := model.LogScale(model.BinStart(first), model.BinStart(last+1), model.FormatDuration, 8)
	var m markup
	m.raw(`<div class="ridges">`)
	for _, e := range drawn {
		c, s := e.Curve(phase), e.Scenario.Phases[phase]
		m.rawf(`<div class="rname"><span class="key %s"></span>`, e.Color)
		m.text(e.Label)
		m.raw(`</div><svg class="ridge" height="44" role="img" aria-label="`)
		m.text(fmt.Sprintf("distribution of %s of %s: n %d, p50 %s, p99 %s, max %s", phase, e.Label, s.N,
			model.FormatDuration(float64(s.P50NS)), model.FormatDuration(float64(s.P99NS)), model.FormatDuration(float64(s.MaxNS))))
		m.raw(`">`)
		for _, t := range x.Ticks {
			at := percent(x.At(t.Value))
			m.rawf(`<line class="grid" x1="%s" x2="%s" y1="0" y2="44"/>`, at, at)
		}
		m.rawf(`<svg width="100%%" height="44" viewBox="0 0 1000 44" preserveAspectRatio="none"><path class="hill %s e-%s" d="%s"/></svg>`,
			e.Color, e.ID, hill(c, x))
		if s.N > 0 {
			for _, q := range []struct {
				class string
				ns    int64
			}{{"q50", s.P50NS}, {"q99", s.P99NS}} {
				at := percent(x.At(float64(q.ns)))
				m.rawf(`<line class="%s" x1="%s" x2="%s" y1="3" y2="44"/>`, q.class, at, at)
			}
		}
		m.raw(`</svg><div class="rstat">`)
		m.text(model.FormatDuration(float64(s.P50NS)))
		m.raw(` <span class="dim">`)
		m.text(model.FormatDuration(float64(s.P99NS)))
		m.raw(`</span></div>`)
	}
	m.raw(`<div></div><svg class="raxis" height="20" aria-hidden="true" focusable="false">`)
	for _, t := range x.Ticks {
		if t.Label != "" {
			m.rawf(`<text class="tick" x="%s" y="14" text-anchor="%s">`, percent(x.At(t.Value)), anchor(x.At(t.Value)))
			m.text(t.Label)
			m.raw(`</text>`)
		}
	}
	m.raw(`</svg><div class="rstat dim">p50 p99</div></div>`)
	return &Chart{HTML: m.html(), Note: "Each hill is as high as its own fullest bin; the lines in it are p50 and p99."}
}

func hill(c *model.Curve, x model.Scale) string {
	lo, hi, most := math.MaxInt, math.MinInt, int64(1)
	for b, n := range c.Bins {
		lo, hi, most = min(lo, b), max(hi, b), max(most, n)
	}
	d := "M" + num(1000*x.At(model.BinStart(lo))) + " 44"
	for b := lo; b <= hi; b++ {
		d += "V" + num(44-38*float64(c.Bins[b])/float64(most)) + "H" + num(1000*x.At(model.BinStart(b+1)))
	}
	return d + "V44Z"
}
