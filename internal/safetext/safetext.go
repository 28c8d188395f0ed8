// SPDX-License-Identifier: Apache-2.0

package safetext

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameRunes bounds a name that came from a kernel, a guest or a file.
const maxNameRunes = 200

// Terminal control sequences: CSI, OSC and other strings up to their
// terminator (or the end), and two-byte escapes; with ESC or as C1 controls.
var escapeSequence = regexp.MustCompile(
	"(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]?" +
		"|(?:\x1b[\\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\x07\x1b\u009c]*(?:\x07|\x1b\\\\|\u009c)?" +
		"|\x1b[ -/]*[0-~]?")

// Name makes a stranger's name fit to be shown on a terminal and kept in a
// profile: no control sequences, no control or invisible formatting
// characters (bidirectional overrides among them), valid UTF-8, one line, at
// most 200 characters. It does not escape HTML.
func Name(s string) string { return safeText(s, maxNameRunes) }

// Text is Name for a whole message: up to 4000 characters.
func Text(s string) string { return safeText(s, 4000) }

func safeText(s string, limit int) string {
	if plain(s) && len(s) <= limit {
		return s
	}
	// More bytes than limit runes can take are never looked at.
	if m := limit * utf8.UTFMax; len(s) > m {
		s = s[:m]
	}
	s = escapeSequence.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.Is(unicode.C, r): // control, format, private use, surrogate
			return -1
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit-1]) + "…"
	}
	return s
}

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Lines makes text of several lines fit for a terminal. Lines may be
// indented by tabs.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		text := strings.TrimLeft(line, "\t")
		lines[i] = line[:len(line)-len(text)] + Text(text)
	}
	return strings.Join(lines, "\n")
}

// ShellWord makes s one word of a command line that can be pasted.
func ShellWord(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+:@%,="
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// ShellPath is ShellWord of a path, which is no flag.
func ShellPath(path string) string {
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	return ShellWord(path)
}
