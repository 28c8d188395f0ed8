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
	most := 0.0
	for _, e := range entries {
		_, mean := segmentsOf(e.Scenario)
		most = max(most, mean)
	}
	x := model.LinearScale(most, model.FormatDuration, false)
	if relative {
		x = model.Scale{Hi: 1, Ticks: []model.Tick{{Value: 0, Label: "0"}, {Value: 0.25, Label: "25%"}, {Value: 0.5, Label: "50%"}, {Value: 0.75, Label: "75%"}, {Value: 1, Label: "100%"}}}
	}
	var m markup
	m.raw(`<div class="bars">`)
	for i, e := range entries {
		if (i == 0 || entries[i-1].Facet != e.Facet) && len(model.FacetsOf(entries)) > 1 {
			m.raw(`<div class="bhead">`)
			m.text(e.Facet)
			m.raw(`</div>`)
		}
		list, mean := segmentsOf(e.Scenario)
		m.raw(`<div class="bname">`)
		name := e.Label
		if len(model.FacetsOf(entries)) > 1 {
			name = e.Series
		}
		m.text(name)
		m.raw(`</div><svg class="bar" height="30" role="img" aria-label="`)
		m.text(barText(e, list, mean))
		m.raw(`">`)
		for _, t := range x.Ticks {
			at := percent(x.At(t.Value))
			m.rawf(`<line class="grid" x1="%s" x2="%s" y1="0" y2="30"/>`, at, at)
		}
		at := 0.0
		for _, seg := range list {
			w := seg.mean / x.Hi
			if relative {
				w = seg.share
			}
			m.rawf(`<svg x="%s" y="4" width="%s" height="22"><title>`, percent(at), percent(w))
			m.text(fmt.Sprintf("%s: %s on average, %s of limbo", seg.phase, model.FormatDuration(seg.mean), model.FormatShare(seg.share)))
			m.rawf(`</title><rect class="%s" width="100%%" height="22"/>`, model.PhaseClass(seg.phase))
			if text := model.FormatDuration(seg.mean); w > 0.075 {
				if relative {
					text = model.FormatShare(seg.share)
				}
				tight := ""
				if w < 0.25 {
					tight = " tight" // no room on a telephone
				}
				m.rawf(`<text class="inbar%s" x="50%%" y="15" text-anchor="middle">`, tight)
				m.text(text)
				m.raw(`</text>`)
			}
			m.raw(`</svg>`)
			at += w
		}
		m.raw(`</svg><div class="bstat">`)
		if mean > 0 {
			m.text(model.FormatDuration(mean))
		} else {
			m.text(model.None)
		}
		m.raw(`</div>`)
	}
	m.raw(`<div></div><svg class="raxis" height="20" aria-hidden="true" focusable="false">`)
	for _, t := range x.Ticks {
		m.rawf(`<text class="tick" x="%s" y="14" text-anchor="%s">`, percent(x.At(t.Value)), anchor(x.At(t.Value)))
		m.text(t.Label)
		m.raw(`</text>`)
	}
	m.raw(`</svg><div class="bstat dim">mean</div></div>`)
	return m.html()
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
