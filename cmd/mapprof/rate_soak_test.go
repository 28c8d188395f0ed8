// SPDX-License-Identifier: Apache-2.0

//go:build vm && soak

package main

import (
	"testing"
	"time"
)

// TestVMSoakRecordRate is TestVMRecordRate at twice the rate, for twenty minutes.
func TestVMSoakRecordRate(t *testing.T) { recordRate(t, 1000, 20*time.Minute) }
