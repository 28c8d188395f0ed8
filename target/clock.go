// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"fmt"
	"time"
)

// A guest's kernel measures how fast its time-stamp counter runs, against emulated
// timers. On a busy host it may find a thirtieth of that ("tsc: PIT calibration
// deviates from HPET", and the PIT is believed). Its clock then runs thirty times as
// fast: what it times is wrong, and mostly it hangs in its first seconds. Under TCG the
// counter is this machine's own, so the kernel can be told its frequency
// (tsc_early_khz, from Linux 5.10). What the guest's clock says is held against this
// machine's all the same.

// clockSlack is how far two clocks may be apart for the time that a message takes
// on a busy host.
const clockSlack = 2 * time.Second

// clockFault says what is wrong with a guest's clock by which that time passed,
// when this much did by the host's; empty: nothing that this can show.
func clockFault(guest, host time.Duration) string {
	if apart := (guest - host).Abs(); apart <= clockSlack+host/20 {
		return ""
	}
	return fmt.Sprintf("in %s of this machine's time %s passed by it", host.Round(10*time.Millisecond), guest.Round(10*time.Millisecond))
}
