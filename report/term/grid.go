// SPDX-License-Identifier: Apache-2.0

package term

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/mapprof/mapprof/internal/cli"
	"github.com/mapprof/mapprof/report/model"
)

// grid is a table without a frame: left-aligned names, right-aligned figures.
type grid struct {
	header []string
	rows   [][]string
	// left are the columns that hold names.
	left map[int]bool
	// bars are the columns that part groups of figures.
	bars map[int]bool
	// titles stand over groups of columns: column index → text.
	titles map[int]string
	// rules are drawn before these rows.
	rules map[int]bool
	bold  map[int]bool // rows
	color bool
}

// bar parts two groups of columns.
const bar = "│"

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

func (g *grid) rule() {
	if g.rules == nil {
		g.rules = map[int]bool{}
	}
	g.rules[len(g.rows)] = true
}

// widths returns the columns' widths.
func (g *grid) widths() []int {
	w := make([]int, len(g.header))
	for _, row := range append([][]string{g.header}, g.rows...) {
		for i, c := range row {
			w[i] = max(w[i], text.StringWidthWithoutEscSequences(c))
		}
	}
	return w
}

// width returns how wide lines gets.
func (g *grid) width() int {
	w := 1
	for _, c := range g.widths() {
		w += c + 1
	}
	return w
}

// lines renders the grid.
func (g *grid) lines() []string {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Box = table.BoxStyle{PaddingRight: " ", MiddleHorizontal: "─", MiddleVertical: "", MiddleSeparator: "", Left: " ", LeftSeparator: " "}
	style.Options = table.Options{DrawBorder: false, SeparateColumns: false, SeparateHeader: true, SeparateRows: false}
	style.Format = table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault, Footer: text.FormatDefault}
	t.SetStyle(style)
	var configs []table.ColumnConfig
	for i := range g.header {
		align := text.AlignRight
		if g.left[i] {
			align = text.AlignLeft
		}
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align})
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(row(g.header))
	for i, r := range g.rows {
		if g.rules[i] {
			t.AppendSeparator()
		}
		t.AppendRow(row(r))
	}
	var out []string
	if len(g.titles) > 0 {
		out = append(out, g.titleLine())
	}
	body := -1
	for _, line := range strings.Split(t.Render(), "\n") {
		line = strings.TrimRight(line, " ")
		if strings.Trim(line, "─ ") == "" {
			out = append(out, " "+line)
			continue
		}
		if g.color && (body < 0 || g.bold[body]) {
			line = bold(line)
		}
		out = append(out, " "+line)
		body++
	}
	return out
}

func row(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, c := range cells {
		r[i] = c
	}
	return r
}

// titleLine puts each title at the left edge of its columns. A column that
// begins with a right-aligned figure begins where its widest cell does.
func (g *grid) titleLine() string {
	line, at := "", 1
	for i, w := range g.widths() {
		if title, ok := g.titles[i]; ok {
			if g.color {
				title = bold(title)
			}
			line += strings.Repeat(" ", max(1, at-text.StringWidthWithoutEscSequences(line))) + title
		} else if g.bars[i] {
			line += strings.Repeat(" ", max(0, at-text.StringWidthWithoutEscSequences(line))) + bar
		}
		at += w + 1
	}
	return line
}

func bold(s string) string   { return "\x1b[1m" + s + "\x1b[0m" }
func yellow(s string) string { return "\x1b[33m" + s + "\x1b[0m" }

// wrap breaks text at blanks into lines of at most width, all but the first
// indented. A word that is longer than a line stays whole.
func wrap(s string, width, indent int) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' })
	return strings.ReplaceAll(cli.Wrap(strings.Join(words, " "), width, indent), model.NBSP, " ")
}

// without returns the grid less the columns of a header, none of which has a title.
func (g *grid) without(header string) *grid {
	out := *g
	out.header, out.rows, out.left, out.bars = nil, make([][]string, len(g.rows)), map[int]bool{}, map[int]bool{}
	for i, h := range g.header {
		if h == header {
			continue
		}
		out.left[len(out.header)], out.bars[len(out.header)] = g.left[i], g.bars[i]
		out.header = append(out.header, h)
		for j, r := range g.rows {
			out.rows[j] = append(out.rows[j], r[i])
		}
	}
	return &out
}
