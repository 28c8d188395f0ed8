// SPDX-License-Identifier: Apache-2.0

//go:build linux

package guest

import (
	"slices"
	"testing"
)

// TestInitEnv: PID 1 has what the kernel would give it, and the last of each name.
func TestInitEnv(t *testing.T) {
	got := initEnv([]string{"PATH=/bin", "A=1", "TERM=dumb", "PATH=/opt"})
	if want := []string{"HOME=/", "TERM=dumb", "PATH=/opt", "A=1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
