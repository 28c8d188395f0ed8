// SPDX-License-Identifier: Apache-2.0

package cli

import "testing"

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text          string
		width, indent int
		want          string
	}{
		{"", 10, 2, ""},
		{"one two three", 20, 2, "one two three"},
		{"one two three", 7, 2, "one two\n  three"},
		{"  a  b c", 6, 4, "  a  b\n    c"},
		{"averyveryverylongword b", 5, 1, "averyveryverylongword\n b"},
		{"… µ µ", 3, 0, "… µ\nµ"},
	} {
		if got := Wrap(c.text, c.width, c.indent); got != c.want {
			t.Errorf("%q: %q, not %q", c.text, got, c.want)
		}
	}
	if got, want := Terms(14, [2]string{"a", "one two three"}, [2]string{"bcd", "x"}), "  a    one two\n       three\n  bcd  x\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
