// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/report/model"
)

// HistoryFormats are the formats in which a history is printed.
func HistoryFormats() []string { return []string{"table", "json"} }

// PrintHistory writes a history in one of HistoryFormats.
func PrintHistory(w io.Writer, h *history.History, format string, o Options) error {
	if format == "json" {
		return model.WriteJSON(w, h)
	}
	return WriteHistory(w, h, o)
}

// WriteReportHistory prints the history of several runs that are reported on, where
// there are enough of them.
func WriteReportHistory(w io.Writer, runs []*model.Loaded, o Options) error {
	h, err := model.HistoryOf(runs)
	if h == nil || err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	return WriteHistory(w, h, o)
}

// courseWidth is the most columns that a course takes.
const courseWidth = 30

// WriteHistory prints a history for a person: how much changed in a line, each
// figure's course in a table for every scenario, and the runs at which something
// changed, the newest first.
func WriteHistory(w io.Writer, h *history.History, o Options) error {
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	p := &printer{o: o}
	summary := model.HistorySummary(h)
	if o.Color {
		summary = bold(summary)
	}
	p.line(summary)
	for i := range h.Scenarios {
		sc := &h.Scenarios[i]
		p.blankLine()
		p.line(wrap(plainName(sc.Name), o.Width, 2))
		p.grid(historyGrid(h, sc, o))
	}
	for _, c := range h.Changes() {
		p.blankLine()
		p.changedRun(h, c)
	}
	p.blankLine()
	for _, l := range model.HistoryMethod(h) {
		p.note("method", l)
	}
	for _, l := range h.Warnings {
		p.note("warning", plainName(l))
	}
	_, err := w.Write(p.buf.Bytes())
	return err
}

func historyGrid(h *history.History, sc *history.Scenario, o Options) *grid {
	t := &grid{header: []string{"figure", "runs", "course", "first", "newest", "range", "changes"}, left: map[int]bool{0: true, 2: true, 6: true},
		bold: map[int]bool{}, color: o.Color}
	phase := ""
	for i := range sc.Series {
		s := &sc.Series[i]
		if of, _, _ := strings.Cut(s.Figure, "/"); of != phase {
			if phase != "" {
				t.rule()
			}
			phase = of
		}
		var changes []string
		for _, p := range s.Points {
			t.bold[len(t.rows)] = true
			changes = append(changes, model.HistoryPoint(s, p)+" "+p.Effect+" at "+plainName(h.Runs[p.Run].Text()))
		}
		first, newest := s.Values[0], s.Values[len(s.Values)-1]
		t.add(metricText(s.Figure, s.Unit), fmt.Sprint(len(s.Values)), course(s, courseWidth),
			figureText(first.Median, first.Trials, s.Unit), figureText(newest.Median, newest.Trials, s.Unit), rangeText(s), strings.Join(changes, ", "))
	}
	return t
}

// rangeText is how far apart the runs of the newest level are.
func rangeText(s *history.Series) string {
	if s.Range == nil {
		return model.None
	}
	return strconv.FormatFloat(100**s.Range, 'f', 2, 64) + "%"
}

var courseMarks = []rune("▁▂▃▄▅▆▇█")

// course draws a series from its least to its greatest value, several runs in
// one column by their median where there are more runs than columns. The range
// is twice the smallest change that counts, at least: less stays in the middle.
func course(s *history.Series, columns int) string {
	columns = min(columns, len(s.Values))
	var levels []float64
	for i := range columns {
		levels = append(levels, s.Level(i*len(s.Values)/columns, (i+1)*len(s.Values)/columns))
	}
	lo, hi := levels[0], levels[0]
	for _, v := range levels {
		lo, hi = min(lo, v), max(hi, v)
	}
	if room := 2*s.Threshold*max(math.Abs(lo), math.Abs(hi)) - (hi - lo); room > 0 {
		lo, hi = lo-room/2, hi+room/2
	}
	var b strings.Builder
	for _, v := range levels {
		at := len(courseMarks) / 2
		if hi > lo {
			at = min(len(courseMarks)-1, int((v-lo)/(hi-lo)*float64(len(courseMarks))))
		}
		b.WriteRune(courseMarks[at])
	}
	return b.String()
}

// changedRun tells what changed at a run, and what else was new there.
func (p *printer) changedRun(h *history.History, c history.Change) {
	run := &h.Runs[c.Run]
	title := "changed at " + plainName(model.HistoryRun(run))
	if p.o.Color {
		title = bold(title)
	}
	p.line(wrap(title, p.o.Width, 2))
	for _, l := range model.HistoryBlame(h, c) {
		p.line("  " + wrap(plainName(l), p.o.Width-2, 4))
	}
	for _, f := range model.HistoryFigures(c) {
		p.line("  " + wrap(plainText(f.Effect+" in "+f.Scenario+": "+f.Figures), p.o.Width-2, 4))
	}
}
