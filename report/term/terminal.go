// SPDX-License-Identifier: Apache-2.0

package term

import (
	"os"

	xterm "golang.org/x/term"
)

// terminalWidth is the width of standard output, 0 where it is no terminal.
func terminalWidth(w any) int {
	f, ok := w.(*os.File)
	if !ok || !xterm.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := xterm.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// OptionsFor are those of tables on a writer: of a terminal where it is one.
func OptionsFor(w any, dir string) Options {
	width := terminalWidth(w)
	return Options{Width: width, Color: width > 0 && os.Getenv("NO_COLOR") == "", Dir: dir}
}

// IsTerminal tells whether a writer is one.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && xterm.IsTerminal(int(f.Fd()))
}
