// SPDX-License-Identifier: Apache-2.0

//go:build linux

package seeds

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Formats of a table.
var formats = []string{"table", "markdown", "json"}

// Write prints the table in one of its formats.
func (t *Table) Write(w io.Writer, format string) error {
	switch format {
	case "json":
		data, err := json.MarshalIndent(t, "", "  ")
		if err != nil {
			return fmt.Errorf("print the table: %w", err)
		}
		_, err = fmt.Fprintf(w, "%s\n", data)
		return err
	case "markdown":
		return t.markdown(w)
	}
	return t.text(w)
}

// text has a block for each row, since figures are sentences.
func (t *Table) text(w io.Writer) error {
	var b strings.Builder
	for _, r := range t.Rows {
		fmt.Fprintf(&b, "%s (%s): %s\n", r.Commits, r.Since, r.What)
		if r.Why != "" {
			fmt.Fprintf(&b, "  %s: %s\n", NoRow, r.Why)
		}
		for _, s := range r.Scenarios {
			fmt.Fprintf(&b, "  mapprof run %s\n", s)
		}
		for _, c := range r.Cells {
			fmt.Fprintf(&b, "  %s: %s\n", c.Kernel, c.Verdict)
			for _, f := range append(append([]string{}, c.Figures...), c.Short...) {
				fmt.Fprintf(&b, "    %s\n", f)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| commit | since | what it did | kernel | figures | verdict |\n|---|---|---|---|---|---|\n")
	for _, r := range t.Rows {
		begin := fmt.Sprintf("| %s | %s | %s |", cellText(r.Commits), cellText(r.Since), cellText(r.What))
		if len(r.Cells) == 0 {
			verdict := NoRow
			if r.Why == "" {
				verdict = ""
			}
			fmt.Fprintf(&b, "%s | %s | %s |\n", begin, cellText(r.Why), verdict)
		}
		for _, c := range r.Cells {
			figures := cellText(strings.Join(append(append([]string{}, c.Figures...), c.Short...), "<br>"))
			fmt.Fprintf(&b, "%s %s | %s | %s |\n", begin, cellText(c.Kernel), figures, c.Verdict)
			begin = "| | | |"
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cellText keeps a text within its cell.
func cellText(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
