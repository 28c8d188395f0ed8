// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"errors"
	"os"
	"strings"

	"github.com/mapprof/mapprof/internal/wholefile"
)

// WriteSection writes a table to a file of Markdown: in place of the section that
// has its first heading, else at the end. One without a heading is the whole file.
func WriteSection(path, table string) error {
	heading, _, _ := strings.Cut(table, "\n")
	if !strings.HasPrefix(heading, "# ") {
		return wholefile.Write(path, table)
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var out []string
	found := false
	for _, section := range sections(string(old)) {
		if strings.HasPrefix(section, heading+"\n") {
			section, found = table, true
		}
		out = append(out, strings.TrimRight(section, "\n")+"\n")
	}
	if !found {
		out = append(out, table)
	}
	return wholefile.Write(path, strings.Join(out, "\n"))
}

// sections cuts Markdown before each heading of the first level.
func sections(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if len(out) == 0 || strings.HasPrefix(line, "# ") {
			out = append(out, "")
		}
		out[len(out)-1] += line
	}
	return out
}
