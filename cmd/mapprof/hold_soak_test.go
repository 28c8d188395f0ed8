// SPDX-License-Identifier: Apache-2.0

//go:build vm && soak

package main

import "testing"

// TestVMSoakHoldReader is TestVMAloneHoldReader with a short and a long hold of each kind.
func TestVMSoakHoldReader(t *testing.T) {
	holdReader(t, "--rcu", "10ms,60ms", "--tasks-trace", "80ms,300ms")
}
