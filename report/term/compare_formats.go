// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/export"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
)

// WriteComparisonJSON prints a comparison with every digit.
func WriteComparisonJSON(w io.Writer, c *compare.Comparison) error { return model.WriteJSON(w, c) }

// WriteComparisonMarkdown prints what WriteComparison does for a page.
func WriteComparisonMarkdown(w io.Writer, c *compare.Comparison) error {
	var b bytes.Buffer
	for _, l := range verdictLines(c) {
		b.WriteString("**" + markdown(l) + "**  \n")
	}
	for _, f := range c.Forced {
		b.WriteString("\n> **Not comparable**, compared because `--force` was given: " + markdown(f) + "\n")
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		b.WriteString("\n### " + markdown(g.Name) + "\n\n")
		for j, s := range g.Sides {
			b.WriteString("- " + markdown(sideLine(j, s)) + "\n")
		}
		b.WriteByte('\n')
		markdownTable(&b, comparisonGrid(g, Options{}, sidesOf(g)...))
	}
	b.WriteByte('\n')
	for _, l := range methodLines(c) {
		b.WriteString(markdown(l) + ".\n")
	}
	if l := needLine(c); l != "" {
		b.WriteString("\n" + markdown(l) + ".\n")
	}
	for _, u := range c.Unmatched {
		b.WriteString("\n- left out: " + markdown(u) + "\n")
	}
	for _, u := range c.Warnings {
		b.WriteString("\n- warning: " + markdown(u) + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// markdownTable prints a grid without the bars between its columns: the format
// has its own.
func markdownTable(b *bytes.Buffer, g *grid) {
	line := func(cells []string) {
		for i, c := range cells {
			if !g.bars[i] {
				b.WriteString("| " + markdown(c) + " ")
			}
		}
		b.WriteString("|\n")
	}
	line(g.header)
	for i := range g.header {
		switch {
		case g.bars[i]:
		case g.left[i]:
			b.WriteString("|:--")
		default:
			b.WriteString("|--:")
		}
	}
	b.WriteString("|\n")
	for _, r := range g.rows {
		line(r)
	}
}

// markdown makes text that means nothing but itself: no table cell ends, no
// HTML, link, mention or emphasis begins.
func markdown(s string) string {
	var b strings.Builder
	for _, r := range safetext.Text(s) {
		switch r {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '@':
			b.WriteString("&#64;")
		case '\\', '`', '*', '_', '[', ']', '|', '#', '~', '!', '$':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "://", "&#58;//")
}

// WriteComparisonCSV prints one line for each figure and side that is
// compared, with every digit.
func WriteComparisonCSV(w io.Writer, c *compare.Comparison) error {
	cw := csv.NewWriter(w)
	_ = cw.Write([]string{"group", "metric", "unit", "base", "base_n", "base_median", "base_lo", "base_hi",
		"other", "other_n", "other_median", "other_lo", "other_hi", "relative", "method", "p", "p_holm", "spread", "effect", "need_trials", "forced"})
	number := func(v *float64) string {
		if v == nil {
			return ""
		}
		return strconv.FormatFloat(*v, 'g', -1, 64)
	}
	center := func(c compare.Center) []string {
		if c.N == 0 {
			return []string{"0", "", "", ""}
		}
		return []string{strconv.Itoa(c.N), number(&c.Median), number(c.Lo), number(c.Hi)}
	}
	for _, g := range c.Groups {
		for _, r := range g.Rows {
			for i, cell := range r.Cells {
				line := []string{export.CSVCell(g.Name), export.CSVCell(r.Metric), export.CSVCell(r.Unit), export.CSVCell(g.Sides[0].Label)}
				line = append(append(line, center(r.Base)...), export.CSVCell(g.Sides[i+1].Label))
				line = append(append(line, center(cell.Center)...), number(cell.Relative), cell.Method, number(cell.P), number(cell.PHolm),
					number(cell.Spread), cell.Effect, needText(cell.Need), strconv.FormatBool(len(c.Forced) > 0))
				_ = cw.Write(line)
			}
		}
	}
	cw.Flush()
	return cw.Error()
}

func needText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
