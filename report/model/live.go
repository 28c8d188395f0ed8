// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

// LiveView is a recording's live maps as a report shows them. All names are fit to be
// shown.
type LiveView struct {
	Rows   []LiveRow
	More   int // holders that have no row
	Totals []HeldRow
	Notes  []string // maps that nobody holds, and what could not be looked for
}

// HeldRow is what maps held at one moment, alive and in limbo.
type HeldRow struct{ When, LiveMaps, Live, LimboMaps, Limbo, Total string }

// LiveRow is one holder's maps, at the start and at the end.
type LiveRow struct {
	Holder                string
	StartMaps, StartBytes string
	EndMaps, EndBytes     string
	Grew                  string
	startBytes, endBytes  uint64
}

// MaxLiveRows is how many holders a table has.
const MaxLiveRows = 12

// maxNoOwner is how many maps without a holder are named.
const maxNoOwner = 4

// LiveOf is the view of a scenario's first trial that has an inventory; nil: none has.
func LiveOf(s *results.Scenario) *LiveView {
	for i := range s.Trials {
		if l := s.Trials[i].Live; l != nil {
			v := liveView(l)
			if len(s.Trials) > 1 {
				v.Notes = append(v.Notes, fmt.Sprintf("these are the live maps of trial %d; run.json has those of all", s.Trials[i].Index))
			}
			return v
		}
	}
	return nil
}

func liveView(l *inventory.Live) *LiveView {
	v := &LiveView{}
	last := &l.Start
	v.Totals = []HeldRow{heldRow("at the start", l.Start.Held)}
	if l.End != nil {
		last = l.End
		v.Totals = append(v.Totals, heldRow("at the end", l.End.Held))
	}
	v.Totals = append(v.Totals, heldRow("most of "+Plural(l.Looks, "look"), l.Peak))
	v.Rows = liveRows(l)
	if n := len(v.Rows); n > MaxLiveRows {
		v.Rows, v.More = v.Rows[:MaxLiveRows], n-MaxLiveRows
	}
	if len(v.Rows) > 0 {
		v.Rows = append(v.Rows, liveRow("all", &inventory.Sum{Maps: l.Start.Held.LiveMaps, Bytes: l.Start.Held.LiveBytes}, endSum(l), true))
	}
	v.Notes = noOwnerTexts(last)
	for _, text := range last.Unread {
		v.Notes = append(v.Notes, "holders that were not looked for: "+safetext.Text(text))
	}
	return v
}

func endSum(l *inventory.Live) *inventory.Sum {
	if l.End == nil {
		return nil
	}
	return &inventory.Sum{Maps: l.End.Held.LiveMaps, Bytes: l.End.Held.LiveBytes}
}

func heldRow(when string, h inventory.Held) HeldRow {
	return HeldRow{
		when, CountCell(h.LiveMaps, true), FormatBytes(float64(h.LiveBytes)), CountCell(h.LimboMaps, true), FormatBytes(float64(h.LimboBytes)),
		FormatBytes(float64(h.Bytes())),
	}
}

// liveRows has those with the most memory at the end first.
func liveRows(l *inventory.Live) []LiveRow {
	type key struct{ kind, name string }
	start, end := map[key]*inventory.Sum{}, map[key]*inventory.Sum{}
	var keys []key
	add := func(sums map[key]*inventory.Sum, of []inventory.HolderSum) (others bool) {
		for _, h := range of {
			k := key{h.Kind, h.Name}
			if start[k] == nil && end[k] == nil {
				keys = append(keys, k)
			}
			sums[k] = &inventory.Sum{Maps: h.Maps, Bytes: h.Bytes}
			others = others || h.Kind == inventory.Others
		}
		return others
	}
	startOthers, endOthers := add(start, l.Start.Holders), false
	if l.End != nil {
		endOthers = add(end, l.End.Holders)
	}
	var rows []LiveRow
	for _, k := range keys {
		a, b := start[k], end[k]
		// Where a side has others, one that it doesn't list may be among them.
		known := (a != nil || !startOthers) && (b != nil || !endOthers)
		if a == nil && !startOthers {
			a = &inventory.Sum{}
		}
		if b == nil && !endOthers && l.End != nil {
			b = &inventory.Sum{}
		}
		rows = append(rows, liveRow(holderText(k.kind, k.name, l.End), a, b, known))
	}
	slices.SortStableFunc(rows, func(a, b LiveRow) int {
		return cmp.Or(cmp.Compare(b.endBytes, a.endBytes), cmp.Compare(b.startBytes, a.startBytes), cmp.Compare(a.Holder, b.Holder))
	})
	return rows
}

func liveRow(holder string, start, end *inventory.Sum, known bool) LiveRow {
	r := LiveRow{Holder: holder, StartMaps: None, StartBytes: None, EndMaps: None, EndBytes: None, Grew: None}
	if start != nil {
		r.StartMaps, r.StartBytes, r.startBytes = CountCell(start.Maps, true), FormatBytes(float64(start.Bytes)), start.Bytes
	}
	if end != nil {
		r.EndMaps, r.EndBytes, r.endBytes = CountCell(end.Maps, true), FormatBytes(float64(end.Bytes)), end.Bytes
	}
	if start != nil && end != nil && known {
		r.Grew = grewText(start.Bytes, end.Bytes)
	}
	return r
}

func grewText(start, end uint64) string {
	switch {
	case end > start:
		return "+" + FormatBytes(float64(end-start))
	case end < start:
		return "−" + FormatBytes(float64(start-end))
	}
	return FormatBytes(0)
}

// holderText names a holder, in the words of a table.
func holderText(kind, name string, end *inventory.Maps) string {
	name = safetext.Name(name)
	switch kind {
	case inventory.FD:
		return cmp.Or(name, "a process")
	case inventory.Mapping:
		return "mapped by " + cmp.Or(name, "a process")
	case inventory.Iterator:
		return "iterator of " + cmp.Or(name, "a process")
	case inventory.None:
		if end != nil && len(end.Unread) > 0 {
			return "no owner seen"
		}
		return "no owner found"
	case inventory.Others:
		return "all others"
	case inventory.Pin:
		return "pinned in " + name
	}
	return safetext.Name(kind) + " " + name
}

// noOwnerTexts name the largest maps that nobody holds, and count those of whose
// references not all have a holder.
func noOwnerTexts(l *inventory.Maps) []string {
	var texts []string
	var more, partly uint64
	for i := range l.Top {
		m := &l.Top[i]
		switch {
		case m.Unaccounted == 0:
		case len(m.Holders) > 0:
			partly++
		case len(texts) == maxNoOwner:
			more++
		default:
			texts = append(texts, fmt.Sprintf("no owner found: map %d %s (%s, %s), %s unaccounted for", m.ID, safetext.Name(m.Name),
				safetext.Name(m.Type), NoBreak(FormatBytes(float64(m.Bytes))), Plural(m.Unaccounted, "reference")))
		}
	}
	if more > 0 {
		texts = append(texts, fmt.Sprintf("no owner found: %s (run.json has them)", Plural(more, "more map")))
	}
	if partly > 0 {
		texts = append(texts, fmt.Sprintf("%s also held by what was not found (run.json: unaccounted)", isAre(partly)))
	}
	return texts
}

func isAre(n uint64) string {
	if n == 1 {
		return "1 map is"
	}
	return fmt.Sprintf("%d maps are", n)
}
