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

// percentileChart is latency by percentile, one line per entry; nil: there is
// nothing to draw.
func percentileChart(entries []*entry, phase string) *chart {
	facets := facetsOf(entries)
	lo, hi, decades := math.Inf(1), 0.0, 1.0
	for _, e := range entries {
		if c := e.curve(phase); c != nil {
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
			if cv := e.curve(phase); cv != nil {
				p.lines = append(p.lines, plotLine{e.Series, e.Color, e.ID, cv.percentiles})
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

// memoryChart is memory in limbo over time. Of an entry's trials it shows the
// one with the highest peak. The charts share their axes unless that would make
// one of them flat. Without a timeline it is nil.
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
