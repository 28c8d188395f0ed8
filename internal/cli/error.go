// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mapprof/mapprof/internal/safetext"
)

// PrintError says what went wrong. There may be a guest's, a file's or a
// kernel's words in it.
func PrintError(w io.Writer, err error) {
	fmt.Fprintf(w, "mapprof: %s\n", safetext.Lines(strings.TrimSpace(err.Error())))
	var guest interface{ Console() string }
	if errors.As(err, &guest) && guest.Console() != "" {
		fmt.Fprintf(w, "the end of the guest's console:\n%s\n", indent(safetext.Lines(guest.Console())))
	}
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}
