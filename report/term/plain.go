// SPDX-License-Identifier: Apache-2.0

package term

import (
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Plain is a table for a terminal that is as easily cut by columns: no frame,
// no rules, no blanks at the ends of lines.
type Plain struct {
	Header []string
	Rows   [][]string
	Right  []int // the columns that are right-aligned, from 0
}

// Add adds a row.
func (p *Plain) Add(cells ...string) { p.Rows = append(p.Rows, cells) }

// String renders the table, a line for each row.
func (p *Plain) String() string {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	var columns []table.ColumnConfig
	for _, i := range p.Right {
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	t.AppendHeader(row(p.Header))
	for _, r := range p.Rows {
		t.AppendRow(row(r))
	}
	return t.Render() + "\n"
}
