// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/target/guest"
)

// TestGuestOutput: what a guest prints is passed on without what a terminal would
// obey, and not without end.
func TestGuestOutput(t *testing.T) {
	var shown bytes.Buffer
	o := guestOutput{left: guest.MaxOutput}
	o.print(&shown, []byte("one\n\ttwo \x1b[2J\n"))
	if got := shown.String(); !strings.HasPrefix(got, "one\n\ttwo ") || strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
	piece := bytes.Repeat([]byte("x"), 32<<10)
	for range 10 * guest.MaxOutput / len(piece) {
		o.print(&shown, piece)
	}
	if n := shown.Len(); n > guest.MaxOutput+len(piece)+200 || strings.Count(shown.String(), "is left out") != 1 {
		t.Errorf("%d bytes of %d are shown", n, 10*guest.MaxOutput)
	}
	o.print(nil, piece) // nobody listens
}
