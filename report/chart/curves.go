// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

func facetHeight(facets int) int {
	if facets == 1 {
		return 320
	}
	return 210
}

// Percentiles is latency by percentile, one line per entry; nil: there is
// nothing to draw.
func Percentiles(entries []*model.Entry, phase string) *Chart {
	facets := model.FacetsOf(entries)
	lo, hi, decades := math.Inf(1), 0.0, 1.0
	for _, e := range entries {
		if c := e.Curve(phase); c != nil {
			for _, q := range c.Percentiles {
				// What happened in less than a tenth of a microsecond would
				// take the room of everything else.
				lo, hi, decades = min(lo, math.Max(q.Y, 100)), max(hi, q.Y), max(decades, q.X)
			}
		}
	}
	y := model.LinearScale(hi, model.FormatDuration, false)
	if hi/lo > 20 {
		y = model.LogScale(lo, hi, model.FormatDuration, 7)
	}
	c := &Chart{}
	var names []string
	var drawn []*model.Entry
	for i, f := range facets {
		p := &linePlot{
			id: "pct-" + phase + "-" + strconv.Itoa(i), kind: "percentile", height: facetHeight(len(facets)),
			title: fmt.Sprintf("%s %s by percentile", f.Name, phase),
			x:     model.PercentileScale(decades), y: y,
		}
		for _, e := range f.Entries {
			if cv := e.Curve(phase); cv != nil {
				p.lines = append(p.lines, plotLine{e.Series, e.Color, e.ID, cv.Percentiles})
				drawn = append(drawn, e)
			}
		}
		if len(p.lines) > 0 {
			c.plots, names = append(c.plots, p), append(names, f.Name)
		}
	}
	if len(c.plots) == 0 {
		return nil
	}
	c.HTML, c.Legend = drawFacets(c.plots, names), legendOf(drawn)
	return c
}

// Memory is memory in limbo over time. Of an entry's trials it shows the
// one with the highest peak. The charts share their axes unless that would make
// one of them flat. Without a timeline it is nil.
func Memory(entries []*model.Entry) *Chart {
	facets := model.FacetsOf(entries)
	var drawn []*model.Entry
	var names []string
	var peaks, ends []float64
	c := &Chart{}
	trials, cut := false, false
	for _, f := range facets {
		p := &linePlot{id: "mem-" + strconv.Itoa(len(c.plots)), kind: "bytes", step: true, height: facetHeight(len(facets)),
			title: strings.TrimSpace(f.Name + " memory in limbo over time")}
		var peak, end float64
		for _, e := range f.Entries {
			t := peakTrial(e.Scenario)
			if t == nil {
				continue
			}
			last := t.Timeline[len(t.Timeline)-1].AtNS
			if level := lastChange(t.Timeline); last > 2*level {
				last, cut = level+level/10, true
			}
			trials = trials || len(e.Scenario.Trials) > 1
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
		p.y, p.x = model.LinearScale(peaks[i], model.FormatBytes, true), timeScale(ends[i])
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
func timeScale(end float64) model.Scale {
	s := model.LinearScale(end, model.FormatDuration, false)
	s.Hi = math.Max(end, 1)
	for len(s.Ticks) > 1 && s.Ticks[len(s.Ticks)-1].Value > s.Hi {
		s.Ticks = s.Ticks[:len(s.Ticks)-1]
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
func timelinePoints(line []results.LimboPoint) []model.Point {
	out := []model.Point{{X: 0, Y: 0}}
	for i, p := range line {
		if i > 0 && i+1 < len(line) && line[i-1].Bytes == p.Bytes && line[i+1].Bytes == p.Bytes {
			continue
		}
		out = append(out, model.Point{X: float64(p.AtNS), Y: float64(p.Bytes)})
	}
	return out
}
