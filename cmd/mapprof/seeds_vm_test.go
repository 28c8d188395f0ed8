// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"strings"
	"testing"
)

// TestVMSeeds: where a kernel fails a proof the exit code says so, and the table is
// whole.
func TestVMSeeds(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := mapprof(t, "seeds", "--target", "vm", "--kernel", "6.12", "--commit", "134fede4eecf,25763b3c86")
	if code != exitFailure || !strings.Contains(stderr, "1 of the table's cells fell short") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	for _, want := range []string{
		"25763b3c86 (5.3): licence lines\n  no row yet: it changed no code",
		"+deb13-cloud-amd64: fell short\n    addressing: 4 proofs hold, 4 fail; refuses array (EINVAL), array with BPF_F_MMAPABLE (EINVAL), xskmap (EINVAL)\n",
		"addressing: FAIL: percpu-array of 4 entries",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}
