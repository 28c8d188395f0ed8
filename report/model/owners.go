// SPDX-License-Identifier: Apache-2.0

package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// OwnerRow is whose maps died in a scenario, over its trials.
type OwnerRow struct {
	Outer    string // the outer map; None: the maps were in none, or it was not seen
	Creator  string // or, in parentheses, who dropped them
	Where    string // container, or cgroup
	Path     string
	PinnedBy string
	Deaths   uint64
	Bytes    uint64
	// P50NS is the middle one of the trials', P99NS the largest.
	P50NS, P99NS int64
}

// MaxOwnerRows is how many owners a table has.
const MaxOwnerRows = 12

type ownerRowKey struct{ outer, creator, where, path, pinned string }

// OwnersOf lists whose maps died, those with the most deaths first; more is how many
// more there are. The names are fit to be shown.
func OwnersOf(s *results.Scenario) (rows []OwnerRow, more int) {
	rows = allOwners(s)
	if len(rows) > MaxOwnerRows {
		return rows[:MaxOwnerRows], len(rows) - MaxOwnerRows
	}
	return rows, 0
}

func allOwners(s *results.Scenario) []OwnerRow {
	type sum struct {
		row  OwnerRow
		p50s []int64
	}
	sums := map[ownerRowKey]*sum{}
	for i := range s.Trials {
		for j := range s.Trials[i].Owners {
			o := &s.Trials[i].Owners[j]
			row := ownerRow(o)
			key := ownerRowKey{row.Outer, row.Creator, row.Where, row.Path, row.PinnedBy}
			if sums[key] == nil {
				sums[key] = &sum{row: row}
			}
			have := sums[key]
			have.row.Deaths += o.Deaths
			have.row.Bytes += o.Bytes
			have.row.P99NS = max(have.row.P99NS, o.Limbo.P99NS)
			have.p50s = append(have.p50s, o.Limbo.P50NS)
		}
	}
	var rows []OwnerRow
	for _, have := range sums {
		slices.Sort(have.p50s)
		have.row.P50NS = have.p50s[len(have.p50s)/2]
		rows = append(rows, have.row)
	}
	slices.SortFunc(rows, func(a, b OwnerRow) int {
		return cmp.Or(cmp.Compare(b.Deaths, a.Deaths), cmp.Compare(a.Outer, b.Outer), cmp.Compare(a.Creator, b.Creator),
			cmp.Compare(a.Where, b.Where), cmp.Compare(a.Path, b.Path), cmp.Compare(a.PinnedBy, b.PinnedBy))
	})
	return rows
}

func ownerRow(o *results.OwnerSum) OwnerRow {
	row := OwnerRow{Outer: None, Creator: None, Where: None, Path: safetext.Name(o.Path)}
	if o.Others {
		row.Outer, row.Path = "all others", None
		return row
	}
	if o.OuterName != "" || o.OuterID != 0 {
		row.Outer = safetext.Name(cmp.Or(o.OuterName, fmt.Sprintf("map %d", o.OuterID)))
	}
	switch {
	case o.Creator != "":
		row.Creator = safetext.Name(o.Creator)
	case o.Comm != "":
		row.Creator = "(" + safetext.Name(o.Comm) + ")"
	}
	if where := cmp.Or(o.Container, o.Cgroup); where != "" {
		row.Where = safetext.Name(where)
	}
	var pins []string
	for _, p := range o.PinnedBy {
		pins = append(pins, safetext.Name(p))
	}
	row.PinnedBy = strings.Join(pins, ", ")
	return row
}

// PinnedTexts says of each outer map that a sleepable program keeps on the slower path
// which program that is, and what it costs.
func PinnedTexts(s *results.Scenario) []string {
	type pinned struct{ outer, by string }
	var texts []string
	said := map[pinned]bool{}
	rows := allOwners(s)
	for _, row := range rows {
		if key := (pinned{row.Outer, row.PinnedBy}); row.PinnedBy == "" || said[key] {
			continue
		} else {
			said[key] = true
		}
		text := fmt.Sprintf("maps of outer map %s stay %s (p50): ", row.Outer, NoBreak(FormatDuration(float64(row.P50NS))))
		if other, ok := withoutPin(rows, row.Outer); ok {
			text = fmt.Sprintf("maps of outer map %s stay %s (p50) instead of %s: ", row.Outer,
				NoBreak(FormatDuration(float64(row.P50NS))), NoBreak(FormatDuration(float64(other.P50NS))))
		}
		programs, verb := "sleepable program ", " uses it"
		if strings.Contains(row.PinnedBy, ", ") {
			programs, verb = "sleepable programs ", " use it"
		}
		texts = append(texts, text+programs+row.PinnedBy+verb)
	}
	return texts
}

// withoutPin finds maps that waited for RCU alone: of the same outer map, or else of
// any, those of which most died.
func withoutPin(rows []OwnerRow, outer string) (OwnerRow, bool) {
	for _, same := range []bool{true, false} {
		for _, row := range rows {
			if row.Path == results.StrategyRCU && (row.Outer == outer || !same) {
				return row, true
			}
		}
	}
	return OwnerRow{}, false
}

// CommandText says how a program that was recorded ended; empty: well, or there was
// none.
func CommandText(c *results.Command) string {
	switch {
	case c == nil || c.ExitCode == 0 || c.Stopped:
		return ""
	case c.Signal != "":
		return "the command was ended by a signal: " + safetext.Name(c.Signal)
	}
	return fmt.Sprintf("the command ended with exit code %d", c.ExitCode)
}
