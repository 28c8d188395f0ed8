// SPDX-License-Identifier: Apache-2.0

package term

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// WriteDoctor prints what can be seen on a target: every function that the
// tracer looks for, how it is attached or why not, and the phases that are
// therefore visible. phases are in the words of package results, warnings a
// line each.
func WriteDoctor(w io.Writer, t *results.Target, phases, warnings []string, o Options) error {
	if o.Width <= 0 {
		o.Width = defaultWidth
	}
	p := &printer{o: o}
	one := &model.Group{Target: t, Workload: "kernel " + t.Kernel.Release, Scenarios: []*results.Scenario{{}}}
	p.line(wrap(one.Subtitle(), o.Width, 2))
	if t.Kernel.Build != "" {
		p.line(wrap(safetext.Text(t.Kernel.Build), o.Width, 2))
	}

	g := &grid{header: []string{"probe", "function", "mechanism", "note"}, left: map[int]bool{0: true, 1: true, 2: true, 3: true}, color: o.Color}
	for _, pr := range t.Probes {
		mechanism, note := safetext.Name(pr.Mechanism), safetext.Name(pr.Reason)
		if mechanism == "" {
			mechanism = model.None
			if pr.Required {
				mechanism = "MISSING"
			}
		}
		g.add(safetext.Name(pr.Name), safetext.Name(pr.Function), mechanism, note)
	}
	if len(g.rows) > 0 {
		g.fitLast(o.Width)
		p.grid(g)
	}

	var seen, unseen []string
	for _, phase := range results.Phases() {
		switch {
		case len(phase.SeenBy) == 0: // not by probes
		case slices.Contains(phases, phase.Name):
			seen = append(seen, phase.Name)
		default:
			unseen = append(unseen, phase.Name)
		}
	}
	p.blankLine()
	p.note("visible", cmp.Or(strings.Join(seen, ", "), "none"))
	if len(unseen) > 0 {
		p.note("not visible", strings.Join(unseen, ", "))
	}
	for _, pr := range t.Probes {
		if pr.Required && pr.Mechanism == "" {
			p.alert("without " + pr.Function + " nothing can be measured here: " + cmp.Or(pr.Reason, "it did not attach"))
		}
	}
	for _, warning := range warnings {
		p.note("warning", safetext.Text(warning))
	}
	_, err := w.Write(p.buf.Bytes())
	return err
}

// fitLast breaks the last column, which holds text, into rows that fit.
func (g *grid) fitLast(width int) {
	last := len(g.header) - 1
	room := max(20, width-(g.width()-g.widths()[last]))
	var rows [][]string
	for _, r := range g.rows {
		for i, part := range strings.Split(wrap(r[last], room, 0), "\n") {
			row := make([]string, len(r))
			if i == 0 {
				copy(row, r)
			}
			row[last] = part
			rows = append(rows, row)
		}
	}
	g.rows = rows
}
