// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import "testing"

func TestInstructionsMore(t *testing.T) {
	if n := len(padding(0.2, 1024)); n != 205 {
		t.Errorf("0.2 more for each of 1024: %d", n)
	}
	if n := SpinRounds(21, 16); n != 112 {
		t.Errorf("21 more for each of 16: %d rounds", n)
	}
}
