// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// brief is what a page has of more scenarios than charts can show: a table of all. Its
// rows are made one by one while the page is written.
type brief struct {
	Count, Drawn int // scenarios here, and how many have charts
	Parts        iter.Seq[briefPart]
	link         string // leads to a scenario, without its ID; empty: no server
}

// briefPart is a part of the table, which a browser lays out by itself.
type briefPart struct {
	Name string
	Rows iter.Seq[briefRow]
}

// partRows is how many scenarios a part has: a browser takes 8 s for one table of 10,000,
// and no longer for parts of it than for the first.
const partRows = 500

func partName(before, n int) string { return fmt.Sprintf("scenarios %d to %d", before+1, before+n) }

// briefRow is one of a scenario's main figures.
type briefRow struct {
	First               int // of how many rows of a scenario this is the first; 0: it isn't
	Label, Color, Href  string
	ID                  string
	Figure              string
	N, P50, P99, Max    string
	Longest, Peak, Held string // of a death: its longest phase, memory in limbo, that × time
	Sound               string
	Bad, Warn           bool
}

func briefOf(entries []*model.Entry, links *LiveLinks) *brief {
	b := &brief{Count: len(entries), Drawn: model.MaxDrawn}
	b.Parts = func(yield func(briefPart) bool) {
		n := 0
		for part := range slices.Chunk(entries, partRows) {
			rows := func(yield func(briefRow) bool) { b.rows(part, yield) }
			if !yield(briefPart{partName(n, len(part)), rows}) {
				return
			}
			n += len(part)
		}
	}
	if links != nil {
		b.link = "?scenario="
		if _, query, ok := strings.Cut(links.ClearHref, "?"); ok {
			b.link = "?" + query + "&scenario="
		}
	}
	return b
}

// Live tells whether a server answers for each scenario.
func (b *brief) Live() bool { return b.link != "" }

func (b *brief) rows(entries []*model.Entry, yield func(briefRow) bool) {
	for _, e := range entries {
		rows := mainRows(e.Scenario)
		first := &rows[0]
		first.First, first.Label, first.Color, first.ID = len(rows), e.Label, e.Color, safetext.Text(e.Scenario.ID)
		if b.Live() {
			first.Href = b.link + url.QueryEscape(e.Scenario.ID)
		}
		first.soundness(e)
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}
}

// mainRows are a scenario's figures that most people look at, at least one: limbo,
// costs by path, or what a user waits for.
func mainRows(s *results.Scenario) []briefRow {
	var rows []briefRow
	phase := func(name string) {
		if v := s.Phases[name]; v.N > 0 {
			cells := model.DurationCells(v, true)
			rows = append(rows, briefRow{Figure: name, N: model.CountCell(v.N, true), P50: cells[0], P99: cells[2], Max: cells[3]})
		}
	}
	metric := func(name string, m results.Metric) {
		cells := model.MetricCells(m)
		rows = append(rows, briefRow{Figure: model.MetricName(name, m), N: model.CountCell(m.N, true), P50: cells[0], P99: cells[2], Max: cells[3]})
	}
	if phase(results.PhaseLimbo); len(rows) > 0 {
		r := &rows[0]
		if name, share := model.LongestPhase(s.Phases); name != "" {
			r.Longest = name + " " + model.FormatShare(share)
		}
		r.Peak = model.FormatBytes(float64(s.Limbo.PeakBytes)) + " in " + model.Plural(s.Limbo.PeakMaps, "map")
		r.Held = model.FormatByteSeconds(s.Limbo.ByteSeconds)
		return rows
	}
	for _, c := range model.LookupCosts(s) {
		metric(c.Path, c.Metric)
	}
	if len(rows) == 0 {
		for _, name := range results.FeltPhases() {
			phase(name)
		}
	}
	if len(rows) == 0 {
		for _, name := range slices.Sorted(maps.Keys(s.Metrics)) {
			if m := s.Metrics[name]; m.N > 0 && !model.IsDetail(name, s.Metrics) {
				metric(name, m)
				break
			}
		}
	}
	if len(rows) == 0 {
		rows = []briefRow{{Figure: model.None, N: model.None, P50: model.None, P99: model.None, Max: model.None}}
	}
	return rows
}

// soundness says what is wrong with the figures, or that nothing is.
func (r *briefRow) soundness(e *model.Entry) {
	b := balanceRowOf(e)
	var texts []string
	if b.Loss != "none" {
		texts = append(texts, "loss: "+b.Loss)
	}
	if b.Unbalanced {
		texts = append(texts, "no balance")
	}
	if r.Bad = b.Bad; b.Bad && len(texts) == 0 {
		texts = append(texts, fmt.Sprintf("%d lost", b.Lost))
	}
	if b.Pending != "none" {
		r.Warn, texts = true, append(texts, "pending: "+b.Pending)
	}
	if s := e.Scenario.Strategy; !s.AsRequested() {
		r.Warn, texts = true, append(texts, "observed "+safetext.Name(s.Observed))
	}
	if r.Sound = strings.Join(texts, "; "); r.Sound == "" {
		r.Sound = "sound"
	}
}
