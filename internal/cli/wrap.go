// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Wrap breaks a line at blanks into lines of at most width, all but the first indented.
// Blanks at its begin and between two words stay; a word that is longer than a line
// stays whole.
func Wrap(s string, width, indent int) string {
	var out strings.Builder
	at, begun := 0, false
	for s != "" {
		word := strings.TrimLeft(s, " ")
		blanks := len(s) - len(word)
		word, s = cut(word)
		switch n := ansi.StringWidth(word); {
		case word == "":
		case begun && at+blanks+n > width:
			out.WriteString("\n" + strings.Repeat(" ", indent) + word)
			at = indent + n
		default:
			out.WriteString(strings.Repeat(" ", blanks) + word)
			at += blanks + n
		}
		begun = true
	}
	return out.String()
}

func cut(s string) (word, rest string) {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// Terms lists names with what they mean, in lines of at most width.
func Terms(width int, terms ...[2]string) string {
	longest := 0
	for _, t := range terms {
		longest = max(longest, ansi.StringWidth(t[0]))
	}
	var b strings.Builder
	for _, t := range terms {
		b.WriteString(Wrap("  "+t[0]+strings.Repeat(" ", longest-ansi.StringWidth(t[0])+2)+t[1], width, longest+4) + "\n")
	}
	return b.String()
}
