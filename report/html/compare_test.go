// SPDX-License-Identifier: Apache-2.0

package html

import "testing"

func TestFormatDelta(t *testing.T) {
	for _, c := range []struct {
		relative, base float64
		want           string
	}{
		{0.5, 100, "+50.0%"},
		{0.05, 100, "+5.0%"},
		{11, 100, "×12.0"},
		{0.5, -100, "+50.0%"}, // to -50
		{-0.5, -100, "−50.0%"},
		{11, -100, "+1100.0%"}, // to 1000
		{0, -100, "±0%"},
	} {
		if got := formatDelta(c.relative, c.base); got != c.want {
			t.Errorf("%v of %v on a page: %s, want %s", c.relative, c.base, got, c.want)
		}
	}
}
