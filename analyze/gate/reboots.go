// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
)

// reboots says how many boots of a run ended in a panic and were repeated, and
// whether that is more than chance makes: QEMU's own are about one in a hundred
// boots, so two and more than one in ten are a kernel's that patches itself
// wrongly. Empty: none.
func reboots(in compare.Input) (text string, tooMany bool) {
	n, trials := 0, 0
	for _, s := range in.Run.Scenarios {
		for _, t := range s.Trials {
			n += max(0, t.Reboots)
			trials++
		}
	}
	if n == 0 {
		return "", false
	}
	return fmt.Sprintf("%s: %d of %d boots ended in a panic by an int3, which QEMU's TCG may be to blame for, and were repeated",
		safetext.Name(in.Name), n, n+trials), n > 1 && 10*n > n+trials
}
