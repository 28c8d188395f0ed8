// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"html/template"
	"slices"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// segment is a phase's part of a bar.
type segment struct {
	phase string
	mean  float64 // of the phase over all deaths, ns
	share float64
}

func segmentsOf(s *results.Scenario) (list []segment, mean float64) {
	limbo := s.Phases[results.PhaseLimbo]
	if limbo.N == 0 {
		return nil, 0
	}
	for _, p := range results.DeathPhases() {
		if share, ok := analyze.Share(s.Phases, p); ok && share > 0 {
			list = append(list, segment{p, share * limbo.MeanNS, share})
		}
	}
	return list, limbo.MeanNS
}

// BarPhases are those of the phases that at least one bar has a part of.
func BarPhases(entries []*model.Entry, phases []string) []string {
	drawn := map[string]bool{}
	for _, e := range entries {
		list, _ := segmentsOf(e.Scenario)
		for _, seg := range list {
			drawn[seg.phase] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(phases), func(p string) bool { return !drawn[p] })
}

// PhaseBars are the stacked bars: in time, or each bar as a whole.
func PhaseBars(entries []*model.Entry, relative bool) template.HTML {
	b := bars{relative: relative, scale: barScale(entries, relative), facets: len(model.FacetsOf(entries)) > 1}
	b.raw(`<div class="bars">`)
	for i, e := range entries {
		if b.facets && (i == 0 || entries[i-1].Facet != e.Facet) {
			b.raw(`<div class="bhead">`)
			b.text(e.Facet)
			b.raw(`</div>`)
		}
		b.bar(e)
	}
	b.axis()
	return b.html()
}

// bars are stacked bars under way.
type bars struct {
	markup
	relative bool
	scale    model.Scale
	facets   bool // there are several
}

// barScale reaches to the longest bar; of relative ones, to the whole.
func barScale(entries []*model.Entry, relative bool) model.Scale {
	if relative {
		return model.Scale{Hi: 1, Ticks: []model.Tick{{Value: 0, Label: "0"}, {Value: 0.25, Label: "25%"}, {Value: 0.5, Label: "50%"}, {Value: 0.75, Label: "75%"}, {Value: 1, Label: "100%"}}}
	}
	most := 0.0
	for _, e := range entries {
		_, mean := segmentsOf(e.Scenario)
		most = max(most, mean)
	}
	return model.LinearScale(most, model.FormatDuration, false)
}

// bar draws one bar, between its name and its mean.
func (b *bars) bar(e *model.Entry) {
	list, mean := segmentsOf(e.Scenario)
	b.raw(`<div class="bname">`)
	name := e.Label
	if b.facets {
		name = e.Series
	}
	b.text(name)
	b.raw(`</div><svg class="bar" height="30" role="img" aria-label="`)
	b.text(barText(e, list, mean))
	b.raw(`">`)
	for _, t := range b.scale.Ticks {
		at := percent(b.scale.At(t.Value))
		b.rawf(`<line class="grid" x1="%s" x2="%s" y1="0" y2="30"/>`, at, at)
	}
	at := 0.0
	for _, seg := range list {
		width := seg.mean / b.scale.Hi
		if b.relative {
			width = seg.share
		}
		b.segment(seg, at, width)
		at += width
	}
	b.raw(`</svg><div class="bstat">`)
	if mean > 0 {
		b.text(model.FormatDuration(mean))
	} else {
		b.text(model.None)
	}
	b.raw(`</div>`)
}

// segment draws a phase's part of a bar, with its figure where there is room.
func (b *bars) segment(seg segment, at, width float64) {
	b.rawf(`<svg x="%s" y="4" width="%s" height="22"><title>`, percent(at), percent(width))
	b.text(fmt.Sprintf("%s: %s on average, %s of limbo", seg.phase, model.FormatDuration(seg.mean), model.FormatShare(seg.share)))
	b.rawf(`</title><rect class="%s" width="100%%" height="22"/>`, model.PhaseClass(seg.phase))
	if text := model.FormatDuration(seg.mean); width > 0.075 {
		if b.relative {
			text = model.FormatShare(seg.share)
		}
		tight := ""
		if width < 0.25 {
			tight = " tight" // no room on a telephone
		}
		b.rawf(`<text class="inbar%s" x="50%%" y="15" text-anchor="middle">`, tight)
		b.text(text)
		b.raw(`</text>`)
	}
	b.raw(`</svg>`)
}

// axis draws the scale under the bars.
func (b *bars) axis() {
	b.raw(`<div></div><svg class="raxis" height="20" aria-hidden="true" focusable="false">`)
	for _, t := range b.scale.Ticks {
		b.rawf(`<text class="tick" x="%s" y="14" text-anchor="%s">`, percent(b.scale.At(t.Value)), anchor(b.scale.At(t.Value)))
		b.text(t.Label)
		b.raw(`</text>`)
	}
	b.raw(`</svg><div class="bstat dim">mean</div></div>`)
}

func barText(e *model.Entry, list []segment, mean float64) string {
	if len(list) == 0 {
		return e.Label + ": no map was seen to be freed"
	}
	text := fmt.Sprintf("%s: %s in limbo on average:", e.Label, model.FormatDuration(mean))
	for i, s := range list {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %s %s", s.phase, model.FormatShare(s.share))
	}
	return text
}
