// SPDX-License-Identifier: Apache-2.0

//go:build vm && soak

package main

import "testing"

// TestVMSoakHostMemory is TestVMHostMemory with ten million deaths.
func TestVMSoakHostMemory(t *testing.T) { flatOver(t, 10_000, 10_000_000) }
