// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/kernels"
)

// TestFit: each kernel of a run is held against the workload, and what one lacks is
// the user's mistake.
func TestFit(t *testing.T) {
	for _, tt := range []struct {
		workload, params, clock string
		want                    string // in the error; empty: none
	}{
		{"churn", "", results.ClockWall, ""},
		{"churn", "slots=8 batch=8", results.ClockWall, "kernel 5.10.0-46-cloud-amd64: --batch"},
		{"churn", "hold-reader=rcu=20ms", results.ClockICount, "needs a CPU of its own"},
		{"churn", "hold-reader=tasks-trace=20ms", results.ClockWall, "kernel 5.10.0-46-cloud-amd64: --hold-reader tasks-trace"},
	} {
		vm := &target.VM{Machine: target.Machine{Clock: tt.clock},
			Images: []kernels.Kernel{{Release: "7.2.12+deb13-cloud-amd64"}, {Release: "5.10.0-46-cloud-amd64"}}}
		err := Fit(vm, jobOf(tt.workload, tt.params), []string{results.StrategyRCU})
		var machine *target.MachineError
		if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &machine) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s %s on %s: %v, want %q", tt.workload, tt.params, tt.clock, err, tt.want)
		}
		if err == nil && vm.Machine.MemoryBytes != target.DefaultMemory {
			t.Errorf("%s %s: %d bytes of memory", tt.workload, tt.params, vm.Machine.MemoryBytes)
		}
	}
	if err := Fit(target.Local{Release: "5.10.0"}, jobOf("churn", "slots=2 batch=2"), []string{results.StrategyRCU}); err == nil {
		t.Error("a local kernel is not held against the workload")
	}
}
