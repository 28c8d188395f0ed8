// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"os/exec"
	"testing"
)

// goToolPprof runs the pprof that comes with Go, which is what people have.
func goToolPprof(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"tool", "pprof"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("go tool pprof: %v\n%s", err, out)
	}
	return string(out)
}
