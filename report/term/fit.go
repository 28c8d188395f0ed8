// SPDX-License-Identifier: Apache-2.0

package term

import (
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// Widths that the first column's names are broken to before a column goes, and at last.
const (
	roomyName = 24
	leastName = 10
)

// fitted prints a grid that fits the terminal, and says what was left out of it. Where
// there is no terminal all of it is printed.
func (p *printer) fitted(g *grid, droppable ...string) {
	if p.o.pipe {
		p.grid(g)
		return
	}
	fit, left := g.fit(p.o.Width, droppable...)
	p.grid(fit)
	if len(left) > 0 {
		p.line(wrap(" left out, for want of width: "+strings.Join(left, ", "), p.o.Width, 2))
	}
}

// fit returns the grid in at most so many columns: with names on several lines, without
// columns that can be done without, in that order, whose headers it returns.
func (g *grid) fit(width int, droppable ...string) (fit *grid, left []string) {
	fit = g
	for least := roomyName; ; {
		if fit.width() <= width {
			return fit, left
		}
		room := width - (fit.width() - fit.widths()[0])
		if room >= least || len(droppable) == 0 {
			return fit.folded(max(room, leastName)), left
		}
		if slices.Contains(fit.header, droppable[0]) {
			fit, left = fit.without(droppable[0]), append(left, droppable[0])
		}
		droppable = droppable[1:]
	}
}

// folded breaks the names in the first column to a width.
func (g *grid) folded(width int) *grid {
	out := *g
	out.rows, out.rules, out.bold = nil, nil, map[int]bool{}
	for i, r := range g.rows {
		if g.rules[i] {
			out.rule()
		}
		for j, part := range breakName(r[0], width) {
			if g.bold[i] {
				out.bold[len(out.rows)] = true
			}
			if j == 0 {
				out.add(append([]string{part}, r[1:]...)...)
				continue
			}
			rest := make([]string, len(r)-1)
			for k := range rest {
				if g.header[k+1] == bar {
					rest[k] = bar
				}
			}
			out.add(append([]string{"  " + part}, rest...)...)
		}
	}
	return &out
}

// lastBreak is the last position at which a name may be broken so that the begin has room
// and isn't short; 0: there is none.
func lastBreak(name []rune, room int, may func(i int) bool) int {
	for i := min(room, len(name)-1); i > room/3; i-- {
		if may(i) {
			return i
		}
	}
	return 0
}

// breakName breaks a name at a blank, else behind a dot, a slash or an underscore, and
// anywhere where it has none. All but the first part leave room for two blanks.
func breakName(name string, width int) (parts []string) {
	room := width
	for text.StringWidthWithoutEscSequences(name) > room {
		runes := []rune(name)
		at := lastBreak(runes, room, func(i int) bool { return runes[i] == ' ' })
		if at == 0 {
			at = lastBreak(runes, room, func(i int) bool { return strings.ContainsRune("./_", runes[i-1]) })
		}
		if at == 0 {
			at = room
		}
		parts, name = append(parts, strings.TrimRight(string(runes[:at]), " ")), strings.TrimLeft(string(runes[at:]), " ")
		room = width - 2
	}
	return append(parts, name)
}
