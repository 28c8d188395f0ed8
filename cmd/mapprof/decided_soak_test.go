// SPDX-License-Identifier: Apache-2.0

//go:build vm && soak

package main

import "testing"

// TestVMSoakUntilDecided is TestVMUntilDecided of one image under two names: the gate says
// pass. That takes a dozen boots, too.
func TestVMSoakUntilDecided(t *testing.T) { untilDecided(t, "./a.bzImage", "./b.bzImage", exitOK) }
