// SPDX-License-Identifier: Apache-2.0

package term

import (
	"os"

	xterm "golang.org/x/term"

	"github.com/mapprof/mapprof/internal/cli"
)

// OptionsFor are those of tables on a writer: of a terminal where it is one.
func OptionsFor(w any, dir string) Options {
	width := cli.Width(w)
	return Options{Width: width, Color: width > 0 && os.Getenv("NO_COLOR") == "", Dir: dir}
}

// IsTerminal tells whether a writer is one.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && xterm.IsTerminal(int(f.Fd()))
}
