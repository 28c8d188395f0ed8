// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"strings"
	"testing"
)

// The memory in limbo is what was in use just before freeing began.
func TestInLimbo(t *testing.T) {
	f := freeing{held: 50, droppingNS: 100, readings: []memoryReading{{51, 200}, {52, 300}, {26, 400}}}
	for _, tt := range []struct {
		freeBegan int64
		want      uint64
		how       string
	}{
		{350, 52, "before freeing began"},
		{300, 52, "before freeing began"},
		{150, 50, "before the last reference was dropped"},
		{100, 50, "before the last reference was dropped"}, // when it began is not known
	} {
		if got, how := f.inLimbo(tt.freeBegan); got != tt.want || !strings.Contains(how, tt.how) {
			t.Errorf("freeing began at %d: %d (%s), want %d", tt.freeBegan, got, how, tt.want)
		}
	}
}
