// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with testdata/name.golden, or rewrites it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update rewrites it); got:\n%s", path, got)
	}
}

// checkText finds what must never be printed: control characters, lines that
// don't fit (in 100 columns where width is 0), blanks at the end of a line.
func checkText(t *testing.T, text string, width int, color bool) {
	t.Helper()
	if width == 0 {
		width = 100
	}
	for _, r := range text {
		if r < ' ' && r != '\n' && !(color && r == '\x1b') || r >= 0x7f && r < 0xa0 || r == '\u202e' {
			t.Errorf("control character %U", r)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if !color && utf8.RuneCountInString(line) > width {
			t.Errorf("wider than %d: %q", width, line)
		}
		if strings.HasSuffix(line, " ") {
			t.Errorf("blank at the end of %q", line)
		}
	}
}
