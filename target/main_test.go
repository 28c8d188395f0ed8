// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"os"
	"testing"

	"github.com/mapprof/mapprof/target/guest"
)

// guestTestJob is what this test binary does as a guest's job; tests that
// boot a VM set it.
var guestTestJob func(args []string) int

// TestMain makes the test binary its own guest: as PID 1 of a VM it is the
// init, and as its child the job.
func TestMain(m *testing.M) {
	guest.Init()
	if guest.InJob() && guestTestJob != nil {
		os.Exit(guestTestJob(os.Args[1:]))
	}
	os.Exit(m.Run())
}
