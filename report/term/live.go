// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"

	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// live prints which maps were alive in a recording, by who held them.
func (p *printer) live(s *results.Scenario) {
	v := model.LiveOf(s)
	if v == nil {
		return
	}
	if len(v.Rows) > 0 {
		t := &grid{header: []string{"live maps of", "start", "memory", "end", "memory", "grew"}, left: map[int]bool{0: true}, color: p.o.Color}
		for _, r := range v.Rows {
			t.add(r.Holder, r.StartMaps, r.StartBytes, r.EndMaps, r.EndBytes, r.Grew)
		}
		p.grid(t)
		if v.More > 0 {
			p.line(fmt.Sprintf(" and %s (run.json has them)", model.Plural(uint64(v.More), "more holder")))
		}
	}
	t := &grid{header: []string{"memory of maps", "live", "maps", "in limbo", "maps", "total"}, left: map[int]bool{0: true}, color: p.o.Color}
	for _, r := range v.Totals {
		t.add(r.When, r.Live, r.LiveMaps, r.Limbo, r.LimboMaps, r.Total)
	}
	p.grid(t)
	for _, text := range v.Notes {
		p.line(wrap(" "+text, p.o.Width, 2))
	}
}
