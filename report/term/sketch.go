// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// Markers tell the lines of a sketch apart where there is no colour.
var sketchMarks = []rune("●○■□▲△◆◇")

var sketchColors = map[string]string{
	"c0": "\x1b[34m", "c1": "\x1b[33m", "c2": "\x1b[32m", "c3": "\x1b[35m", "c4": "\x1b[31m", "c5": "\x1b[36m", "c6": "\x1b[93m", "c7": "\x1b[90m",
}

const (
	sketchRows = 12
	sketchAxis = 10 // columns of the labels on the left
)

// WriteSketch draws the limbo time of each scenario by percentile in
// characters: one chart for every kernel, as wide as o.Width. Runs without
// histograms give nothing, nor do kernels where each scenario has one death. Too many
// scenarios are not drawn, and it says so.
func WriteSketch(w io.Writer, l *model.Loaded, o Options) error {
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	p := &printer{o: o}
	if l.TooMany() {
		p.paragraph(fmt.Sprintf("limbo by percentile: not of more than %d scenarios (--scenario=ID draws it of one)", model.MaxDrawn))
	}
	for _, f := range model.FacetsOf(model.EntriesOf([]*model.Loaded{l}, model.Filter{}, model.FacetKernel)) {
		p.sketch(f)
	}
	_, err := w.Write(p.buf.Bytes())
	return err
}

func (p *printer) sketch(f *model.Facet) {
	lo, hi, decades, most := math.Inf(1), 0.0, 1.0, uint64(0)
	var list []*model.Entry
	for _, e := range f.Entries {
		c := e.Curve(results.PhaseLimbo)
		if c == nil {
			continue
		}
		list, most = append(list, e), max(most, e.Scenario.Phases[results.PhaseLimbo].N)
		for _, q := range c.Percentiles {
			lo, hi, decades = min(lo, math.Max(q.Y, 100)), max(hi, q.Y), max(decades, q.X)
		}
	}
	width := min(p.o.Width, 120) - sketchAxis - 1
	if most < 2 || width < 30 {
		return
	}
	x, y := model.PercentileScale(decades), model.LogScale(lo, hi, model.FormatDuration, 7)
	grid := make([][]rune, sketchRows)
	owner := make([][]int, sketchRows)
	for i := range grid {
		grid[i], owner[i] = []rune(strings.Repeat(" ", width)), make([]int, width)
		for j := range owner[i] {
			owner[i][j] = -1
		}
	}
	for i, e := range list {
		c := e.Curve(results.PhaseLimbo)
		for col := range width {
			v := c.ValueAt(x.Hi * float64(col) / float64(width-1))
			if v < 0 {
				continue
			}
			row := int(math.Round((1 - y.At(v)) * (sketchRows - 1)))
			grid[row][col], owner[row][col] = sketchMarks[i%len(sketchMarks)], i
		}
	}
	labels := map[int]string{}
	for _, t := range y.Ticks {
		if t.Label != "" {
			labels[int(math.Round((1-y.At(t.Value))*(sketchRows-1)))] = strings.ReplaceAll(t.Label, "\u00a0", " ")
		}
	}
	p.paragraph("limbo by percentile, " + f.Name)
	for i, row := range grid {
		var b strings.Builder
		fmt.Fprintf(&b, "%*s %s", sketchAxis-2-text.StringWidthWithoutEscSequences(labels[i])+len([]rune(labels[i])), labels[i], "┤")
		for j := 0; j < len(row); {
			end := j + 1
			for end < len(row) && owner[i][end] == owner[i][j] {
				end++
			}
			b.WriteString(p.mark(string(row[j:end]), list, owner[i][j]))
			j = end
		}
		p.line(b.String())
	}
	p.line(strings.Repeat(" ", sketchAxis-1) + "└" + strings.Repeat("─", width))
	p.line(strings.Repeat(" ", sketchAxis) + percentileLabels(x, width))
	var legend []string
	for i, e := range list {
		legend = append(legend, p.mark(string(sketchMarks[i%len(sketchMarks)]), list, i)+"\u00a0"+strings.ReplaceAll(e.Series, " ", "\u00a0"))
	}
	for _, l := range strings.Split(wrap(strings.Join(legend, " "), p.o.Width-sketchAxis, 0), "\n") {
		p.line(strings.Repeat(" ", sketchAxis) + strings.ReplaceAll(l, "\u00a0", " "))
	}
}

// mark draws an entry's characters in its colour.
func (p *printer) mark(s string, list []*model.Entry, ix int) string {
	if ix < 0 || !p.o.Color {
		return s
	}
	class, _, _ := strings.Cut(list[ix].Color, " ")
	return sketchColors[class] + s + "\x1b[0m"
}

func percentileLabels(x model.Scale, width int) string {
	line := []rune(strings.Repeat(" ", width))
	free := 0
	for _, t := range x.Ticks {
		at := int(math.Round(x.At(t.Value) * float64(width-1)))
		label := []rune(t.Label)
		if t.Label != "min" {
			label = []rune("p" + t.Label)
		}
		start := min(max(0, at-len(label)/2), width-len(label))
		if start < free {
			continue
		}
		copy(line[start:], label)
		free = start + len(label) + 1
	}
	return string(line)
}
