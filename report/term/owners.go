// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"
	"strings"

	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// owners prints whose maps died in a recording: as a table, without the columns that
// tell nothing apart where it would be too wide.
func (p *printer) owners(s *results.Scenario) {
	rows, more := model.OwnersOf(s)
	if len(rows) == 0 {
		return
	}
	t := ownerGrid(rows, func(where string) string { return where }, p.o)
	if t.width() > p.o.Width {
		t = ownerGrid(rows, lastOfPath, p.o)
	}
	if t.width() > p.o.Width {
		t = ownerGrid(rows, nil, p.o)
	}
	p.grid(t)
	if more > 0 {
		p.line(fmt.Sprintf(" and %s (run.json has them)", model.Plural(uint64(more), "more owner")))
	}
	for _, text := range model.PinnedTexts(s) {
		p.line(wrap(" "+text, p.o.Width, 2))
	}
}

// lastOfPath is "b" of "/a/b".
func lastOfPath(where string) string {
	if last := where[strings.LastIndexByte(where, '/')+1:]; last != "" {
		return last
	}
	return where
}

// ownerGrid has a column of containers and cgroups, as where shows them; nil: none.
func ownerGrid(rows []model.OwnerRow, where func(string) string, o Options) *grid {
	t := &grid{header: []string{"outer map", "creator"}, left: map[int]bool{0: true, 1: true, 2: true}, color: o.Color}
	if where != nil {
		t.header = append(t.header, "container, cgroup")
		t.left[3] = true
	}
	t.header = append(t.header, "path", "deaths", "p50", "p99", "memory")
	for _, r := range rows {
		cells := []string{r.Outer, r.Creator}
		if where != nil {
			cells = append(cells, where(r.Where))
		}
		t.add(append(cells, r.Path, model.CountCell(r.Deaths, true), model.FormatDuration(float64(r.P50NS)),
			model.FormatDuration(float64(r.P99NS)), model.FormatBytes(float64(r.Bytes)))...)
	}
	return t
}
