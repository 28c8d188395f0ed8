// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"testing"

	"github.com/spf13/pflag"
)

// TestWantsVM: what only a VM can follow is never dropped.
func TestWantsVM(t *testing.T) {
	for _, tt := range []struct{ arg, want string }{
		{"--offline", ""}, {"--clock=wall", ""},
		{"--cpus=2", "cpus"}, {"--memory=1GiB", "memory"}, {"--append=preempt=full", "append"}, {"--accel=tcg", "accel"},
		{"--clock=icount", "clock"}, {"--timeout=1m", "timeout"}, {"--console=log", "console"},
	} {
		var f targetFlags
		fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
		f.add(fs)
		if err := fs.Parse([]string{tt.arg}); err != nil {
			t.Fatal(err)
		}
		if got := f.wantsVM(); got != tt.want {
			t.Errorf("%s: %q", tt.arg, got)
		}
		if tt.want == "" {
			continue
		}
		// No kernel is in the cache: that a VM is looked for is what fails.
		t.Setenv("MAPPROF_CACHE", t.TempDir())
		f.offline = true
		if kernels, err := f.resolve(t.Context(), new(bytes.Buffer)); err == nil {
			t.Errorf("%s: kernels %v, on this machine", tt.arg, kernels)
		}
	}
}
