// SPDX-License-Identifier: Apache-2.0

package html

import "github.com/mapprof/mapprof/report/model"

// ownersTable is whose maps died in a recording.
type ownersTable struct {
	Name   string // what was recorded
	Rows   []ownersRow
	Pinned []string
	More   int
}

type ownersRow struct{ Outer, Creator, Where, Path, PinnedBy, Deaths, P50, P99, Memory string }

func ownersOf(entries []*model.Entry) []ownersTable {
	var out []ownersTable
	for _, e := range entries {
		rows, more := model.OwnersOf(e.Scenario)
		if len(rows) == 0 {
			continue
		}
		t := ownersTable{Name: e.Label, Pinned: model.PinnedTexts(e.Scenario), More: more}
		for _, r := range rows {
			t.Rows = append(t.Rows, ownersRow{
				r.Outer, r.Creator, r.Where, r.Path, r.PinnedBy, model.CountCell(r.Deaths, true),
				model.FormatDuration(float64(r.P50NS)), model.FormatDuration(float64(r.P99NS)), model.FormatBytes(float64(r.Bytes)),
			})
		}
		out = append(out, t)
	}
	return out
}
