// SPDX-License-Identifier: Apache-2.0

package safetext

import (
	"strings"
	"testing"
)

func TestSafeName(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"mp_inner":                          "mp_inner",
		"süß ≥ 1":                           "süß ≥ 1",
		"\x1b[31mred\x1b[0m":                "red",
		"a\x1b]8;;http://x\x1b\\b\x1b]0;t":  "ab",
		"\u009b2Jx\u009dtitle\u009cy":       "xy",
		"one\ntwo\tthree\rfour":             "one two three four",
		"\u202eevil\u200b":                  "evil",
		"bad\xff\xfe":                       "bad\uFFFD",
		"\x1bcreset\x7f\x00":                "reset",
		strings.Repeat("x", 300):            strings.Repeat("x", 199) + "…",
		strings.Repeat("é", 300):            strings.Repeat("é", 199) + "…",
		"<script>alert(1)</script>":         "<script>alert(1)</script>",
		"\x1b[" + strings.Repeat("9", 5000): "",
	} {
		if got := Name(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLines(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"one\ntwo\n":                      "one\ntwo\n",
		"log:\n\t\tin\x1b[31mdented\n":    "log:\n\t\tindented\n",
		"a\tb\rc\n\x1b[2J\n\u202eevil":    "a b c\n\nevil",
		"\x1b]0;title\nthe title goes on": "\nthe title goes on",
	} {
		if got := Lines(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestShellPath(t *testing.T) {
	for path, want := range map[string]string{
		"a/b-1.2": "a/b-1.2", "-x": "./-x", "-x y": "'./-x y'", "it's": `'it'\''s'`, "": "''", "a$b": "'a$b'",
	} {
		if got := ShellPath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
