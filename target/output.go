// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"fmt"
	"io"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/target/guest"
)

// guestOutput passes on what a guest's programs print, up to guest.MaxOutput: a guest
// that keeps to no limit fills no disk.
type guestOutput struct{ left int }

// print passes a piece on, made fit to be shown; to nil: to nobody. A terminal that is
// gone is no reason to stop.
func (o *guestOutput) print(to io.Writer, piece []byte) {
	if to == nil || o.left <= 0 {
		return
	}
	_, _ = io.WriteString(to, safetext.Lines(string(piece)))
	if o.left -= len(piece); o.left <= 0 {
		fmt.Fprintf(to, "\nmapprof: the command has printed %d MiB; what follows is left out\n", guest.MaxOutput>>20)
	}
}
