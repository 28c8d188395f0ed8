// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/results"
)

func facetHeight(facets int) int {
	if facets == 1 {
		return 320
	}
	return 210
}

// percentileChart is latency by percentile, one line per entry.
func percentileChart(entries []*entry, phase string) *chart {
	facets := facetsOf(entries)
	lo, hi, decades := math.Inf(1), 0.0, 1.0
	for _, e := range entries {
		if c := e.run.curves[e.s.ID][phase]; c != nil {
			for _, q := range c.percentiles {
				// What happened in less than a tenth of a microsecond would
				// take the room of everything else.
				lo, hi, decades = min(lo, math.Max(q.y, 100)), max(hi, q.y), max(decades, q.x)
			}
		}
	}
	y := linearScale(hi, FormatDuration, false)
	if hi/lo > 20 {
		y = logScale(lo, hi, FormatDuration, 7)
	}
	c := &chart{}
	var names []string
	var drawn []*entry
	for i, f := range facets {
		p := &linePlot{
			id: "pct-" + phase + "-" + strconv.Itoa(i), kind: "percentile", height: facetHeight(len(facets)),
			title: fmt.Sprintf("%s %s by percentile", f.Name, phase),
			x:     percentileScale(decades), y: y,
		}
		for _, e := range f.Entries {
			if cv := e.run.curves[e.s.ID][phase]; cv != nil {
				p.lines = append(p.lines, plotLine{e.Series, e.Color, e.ID, cv.percentiles})
				drawn = append(drawn, e)
			}
		}
		if len(p.lines) > 0 {
			c.plots, names = append(c.plots, p), append(names, f.Name)
		}
	}
	c.HTML, c.Legend = drawFacets(c.plots, names), legendOf(drawn)
	return c
}

// memoryChart is memory in limbo over time. Of an entry's trials it shows the
// one with the highest peak. The charts share their axes unless that would make
// one of them flat.
func memoryChart(entries []*entry) *chart {
	facets := facetsOf(entries)
	var drawn []*entry
	var names []string
	var peaks, ends []float64
	c := &chart{}
	trials, cut := false, false
	for _, f := range facets {
		p := &linePlot{id: "mem-" + strconv.Itoa(len(c.plots)), kind: "bytes", step: true, height: facetHeight(len(facets)),
			title: strings.TrimSpace(f.Name + " memory in limbo over time")}
		var peak, end float64
		for _, e := range f.Entries {
			t := peakTrial(e.s)
			if t == nil {
				continue
			}
			last := t.Timeline[len(t.Timeline)-1].AtNS
			if level := lastChange(t.Timeline); last > 2*level {
				last, cut = level+level/10, true
			}
			trials = trials || len(e.s.Trials) > 1
			peak, end = max(peak, float64(t.Limbo.PeakBytes)), max(end, float64(last))
			p.lines = append(p.lines, plotLine{e.Series, e.Color, e.ID, timelinePoints(t.Timeline)})
			drawn = append(drawn, e)
		}
		if len(p.lines) > 0 {
			c.plots, names = append(c.plots, p), append(names, f.Name)
			peaks, ends = append(peaks, peak), append(ends, end)
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	const apart = 4
	own := slices.Max(peaks) > apart*slices.Min(peaks) || slices.Max(ends) > apart*slices.Min(ends)
	for i, p := range c.plots {
		if !own {
			peaks[i], ends[i] = slices.Max(peaks), slices.Max(ends)
		}
		p.y, p.x = linearScale(peaks[i], FormatBytes, true), timeScale(ends[i])
	}
	c.HTML, c.Legend = drawFacets(c.plots, names), legendOf(drawn)
	c.Note = "Time counts from the first put. Each point is the maximum of its interval."
	if trials {
		c.Note += " Of several trials, the one with the highest peak."
	}
	if own && len(c.plots) > 1 {
		c.Note += " Each chart has axes of its own."
	}
	if cut {
		c.Note += " The end is cut off where nothing changed any more while pending maps were waited for."
	}
	return c
}

// timeScale ends where the measuring did.
func timeScale(end float64) scale {
	s := linearScale(end, FormatDuration, false)
	s.hi = math.Max(end, 1)
	for len(s.ticks) > 1 && s.ticks[len(s.ticks)-1].value > s.hi {
		s.ticks = s.ticks[:len(s.ticks)-1]
	}
	return s
}

// lastChange is when a timeline last changed its level, its end aside.
func lastChange(line []results.LimboPoint) int64 {
	for i := len(line) - 2; i > 0; i-- {
		if line[i].Bytes != line[i-1].Bytes {
			return line[i].AtNS
		}
	}
	return line[len(line)-1].AtNS
}

func peakTrial(s *results.Scenario) *results.Trial {
	var best *results.Trial
	for i := range s.Trials {
		t := &s.Trials[i]
		if len(t.Timeline) > 0 && (best == nil || t.Limbo.PeakBytes > best.Limbo.PeakBytes) {
			best = t
		}
	}
	return best
}

// timelinePoints leaves out points that say nothing new.
func timelinePoints(line []results.LimboPoint) []point {
	out := []point{{0, 0}}
	for i, p := range line {
		if i > 0 && i+1 < len(line) && line[i-1].Bytes == p.Bytes && line[i+1].Bytes == p.Bytes {
			continue
		}
		out = append(out, point{float64(p.AtNS), float64(p.Bytes)})
	}
	return out
}

// ridgeChart is the distribution of a phase: one hill per entry over one time
// axis, each as high as its own fullest bin.
func ridgeChart(entries []*entry, phase string) *chart {
	first, last := math.MaxInt, math.MinInt
	var drawn []*entry
	for _, e := range entries {
		c := e.run.curves[e.s.ID][phase]
		if c == nil {
			continue
		}
		drawn = append(drawn, e)
		for b := range c.bins {
			first, last = min(first, b), max(last, b)
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	x := logScale(binStart(first), binStart(last+1), FormatDuration, 8)
	var m markup
	m.raw(`<div class="ridges">`)
	for _, e := range drawn {
		c, s := e.run.curves[e.s.ID][phase], e.s.Phases[phase]
		m.rawf(`<div class="rname"><span class="key %s"></span>`, e.Color)
		m.text(e.Label)
		m.raw(`</div><svg class="ridge" height="44" role="img" aria-label="`)
		m.text(fmt.Sprintf("distribution of %s of %s: n %d, p50 %s, p99 %s, max %s", phase, e.Label, s.N,
			FormatDuration(float64(s.P50NS)), FormatDuration(float64(s.P99NS)), FormatDuration(float64(s.MaxNS))))
		m.raw(`">`)
		for _, t := range x.ticks {
			at := percent(x.at(t.value))
			m.rawf(`<line class="grid" x1="%s" x2="%s" y1="0" y2="44"/>`, at, at)
		}
		m.rawf(`<svg width="100%%" height="44" viewBox="0 0 1000 44" preserveAspectRatio="none"><path class="hill %s e-%s" d="%s"/></svg>`,
			e.Color, e.ID, hill(c, x))
		if s.N > 0 {
			for _, q := range []struct {
				class string
				ns    int64
			}{{"q50", s.P50NS}, {"q99", s.P99NS}} {
				at := percent(x.at(float64(q.ns)))
				m.rawf(`<line class="%s" x1="%s" x2="%s" y1="3" y2="44"/>`, q.class, at, at)
			}
		}
		m.raw(`</svg><div class="rstat">`)
		m.text(FormatDuration(float64(s.P50NS)))
		m.raw(` <span class="dim">`)
		m.text(FormatDuration(float64(s.P99NS)))
		m.raw(`</span></div>`)
	}
	m.raw(`<div></div><svg class="raxis" height="20" aria-hidden="true" focusable="false">`)
	for _, t := range x.ticks {
		if t.label != "" {
			m.rawf(`<text class="tick" x="%s" y="14" text-anchor="%s">`, percent(x.at(t.value)), anchor(x.at(t.value)))
			m.text(t.label)
			m.raw(`</text>`)
		}
	}
	m.raw(`</svg><div class="rstat dim">p50 p99</div></div>`)
	return &chart{HTML: m.html(), Note: "Each hill is as high as its own fullest bin; the lines in it are p50 and p99."}
}

func hill(c *curve, x scale) string {
	lo, hi, most := math.MaxInt, math.MinInt, int64(1)
	for b, n := range c.bins {
		lo, hi, most = min(lo, b), max(hi, b), max(most, n)
	}
	d := "M" + num(1000*x.at(binStart(lo))) + " 44"
	for b := lo; b <= hi; b++ {
		d += "V" + num(44-38*float64(c.bins[b])/float64(most)) + "H" + num(1000*x.at(binStart(b+1)))
	}
	return d + "V44Z"
}
