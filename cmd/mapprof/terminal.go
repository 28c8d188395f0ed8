// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	xterm "golang.org/x/term"

	"github.com/mapprof/mapprof/report/term"
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

func tableOptions(w any, dir string) term.Options {
	width := terminalWidth(w)
	return term.Options{Width: width, Color: width > 0 && os.Getenv("NO_COLOR") == "", Dir: dir}
}
