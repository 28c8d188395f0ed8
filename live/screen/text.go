// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/mapprof/mapprof/live"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// summary is what is above the table, in lines of at most that width.
func summary(s *live.Snapshot, width int) []string {
	first := []string{
		fmt.Sprintf("%s deaths/s", rate(s.DeathsPerSecond)),
		fmt.Sprintf("%s in %s", model.Plural(s.Deaths, "death"), elapsed(s.ElapsedNS)),
		fmt.Sprintf("in limbo %s, %s", model.Plural(s.LimboMaps, "map"), model.FormatBytes(float64(s.LimboBytes))),
	}
	if o := s.Oldest; o != nil {
		text := fmt.Sprintf("oldest %s in %s", duration(o.AgeNS), o.Phase)
		text += " (" + orNone(o.MapName)
		if o.Creator != "" {
			text += " of " + o.Creator
		}
		first = append(first, text+")")
	}
	loss := model.Plural(s.Lost, "death") + " lost"
	if len(s.Loss) > 0 {
		loss += " (loss: " + results.LossText(s.Loss) + ")"
	}
	first = append(first, loss)
	if n := s.Excluded["filtered"]; n > 0 {
		first = append(first, fmt.Sprintf("filtered out %d", n))
	}
	lines := flow(first, width)
	var phases []string
	for _, p := range results.Phases() {
		if st, ok := s.Phases[p.Name]; ok {
			phases = append(phases, fmt.Sprintf("%s %s/%s", p.Name, duration(st.P50NS), duration(st.P99NS)))
		}
	}
	if len(phases) > 0 {
		phases[0] = fmt.Sprintf("p50/p99 of %s: %s", elapsed(s.WindowNS), phases[0])
		lines = append(lines, flow(phases, width)...)
	}
	return lines
}

// flow puts texts one after the other, in as many lines as it takes.
func flow(texts []string, width int) []string {
	const between = " · "
	var lines []string
	line := ""
	for _, t := range texts {
		switch {
		case line == "":
			line = t
		case ansi.StringWidth(line)+len(" · ")-1+ansi.StringWidth(t) <= width:
			line += between + t
		default:
			lines, line = append(lines, fit(line, width)), "  "+t
		}
	}
	return append(lines, fit(line, width))
}

// fit cuts a text to a width.
func fit(s string, width int) string { return ansi.Truncate(s, max(width, 0), "…") }

func duration(ns int64) string { return model.FormatDuration(float64(ns)) }

// elapsed is how long something lasts that lasts long.
func elapsed(ns int64) string {
	if ns < 100*time.Second.Nanoseconds() {
		return duration(ns)
	}
	return time.Duration(ns).Round(time.Second).String()
}

func rate(perSecond float64) string {
	return model.Significant(perSecond, perSecond == float64(int64(perSecond)))
}

// count is a number in at most seven characters.
func count(n uint64) string {
	if n < 10_000_000 {
		return fmt.Sprint(n)
	}
	v, unit := float64(n)/1e6, "M"
	if v >= 1e4 {
		v, unit = v/1e3, "G"
	}
	return model.Significant(v, false) + unit
}

// column is one of the table.
type column struct {
	title string
	// from is the width of a table that has it.
	from  int
	left  bool // it may be cut, and is aligned to the left
	value func(o *live.Owner) string
}

var columns = []column{
	{"outer map", 0, true, outerOf},
	{"creator", 0, true, creatorOf},
	{"container, cgroup", 110, true, func(o *live.Owner) string { return orNone(cmp.Or(o.Container, o.Cgroup)) }},
	{"path", 0, true, func(o *live.Owner) string { return orNone(o.Path) }},
	{"deaths", 0, false, func(o *live.Owner) string { return count(o.Deaths) }},
	{"/s", 90, false, func(o *live.Owner) string { return rate(o.DeathsPerSecond) }},
	{"p50", 80, false, func(o *live.Owner) string { return limbo(o, o.Limbo.P50NS) }},
	{"p99", 0, false, func(o *live.Owner) string { return limbo(o, o.Limbo.P99NS) }},
	{"limbo", 0, false, func(o *live.Owner) string { return model.FormatBytes(float64(o.LimboBytes)) }},
	{"oldest", 72, false, func(o *live.Owner) string {
		if o.LimboMaps == 0 {
			return model.None
		}
		return duration(o.OldestNS)
	}},
	{"pinned by", 100, true, func(o *live.Owner) string { return strings.Join(o.PinnedBy, ", ") }},
}

func outerOf(o *live.Owner) string {
	if o.OuterName == "" && o.OuterID != 0 {
		return fmt.Sprintf("map %d", o.OuterID)
	}
	return orNone(o.OuterName)
}

func creatorOf(o *live.Owner) string {
	if o.Creator == "" && o.Comm != "" {
		return "(" + o.Comm + ")"
	}
	return orNone(o.Creator)
}

func orNone(s string) string { return cmp.Or(s, model.None) }

func limbo(o *live.Owner, ns int64) string {
	if o.Limbo.N == 0 {
		return model.None
	}
	return duration(ns)
}

// table is a heading and a line for each owner, none wider than width. Others come
// last.
func table(owners []live.Owner, others *live.Owner, width int) (heading string, rows []string) {
	var shown []column
	for _, c := range columns {
		if width >= c.from {
			shown = append(shown, c)
		}
	}
	cells := [][]string{{}}
	for _, c := range shown {
		cells[0] = append(cells[0], c.title)
	}
	line := func(o *live.Owner) {
		var row []string
		for _, c := range shown {
			row = append(row, c.value(o))
		}
		cells = append(cells, row)
	}
	for i := range owners {
		line(&owners[i])
	}
	if others != nil {
		line(others)
		cells[len(cells)-1][0] = "all others"
	}
	widths := widthsOf(shown, cells, width)
	for _, row := range cells {
		var b strings.Builder
		for i, c := range shown {
			if i > 0 {
				b.WriteByte(' ')
			}
			text := fit(row[i], widths[i])
			pad := strings.Repeat(" ", max(widths[i]-ansi.StringWidth(text), 0))
			if c.left {
				b.WriteString(text + pad)
			} else {
				b.WriteString(pad + text)
			}
		}
		rows = append(rows, strings.TrimRight(fit(b.String(), width), " "))
	}
	return rows[0], rows[1:]
}

// widthsOf gives columns the width that they need. Where that is too much, the widest
// of those that may be cut is made narrower.
func widthsOf(shown []column, cells [][]string, width int) []int {
	const least = 4
	widths := make([]int, len(shown))
	sum := len(shown) - 1
	for i := range shown {
		for _, row := range cells {
			widths[i] = max(widths[i], ansi.StringWidth(row[i]))
		}
		sum += widths[i]
	}
	for ; sum > width; sum-- {
		widest := -1
		for i, c := range shown {
			if c.left && widths[i] > least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}
