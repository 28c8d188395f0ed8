// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"

	_ "github.com/mapprof/mapprof/workloads/all"
)

// jobOf is a job of a workload with parameters as they are on a command line:
// "size=5GiB count=3".
func jobOf(workload, params string) trial.Job {
	job := trial.Job{Workload: workload, Params: map[string]string{}, Options: trial.DefaultOptions()}
	for _, p := range strings.Fields(params) {
		name, value, _ := strings.Cut(p, "=")
		job.Params[name] = value
	}
	return job
}

// TestFitMemory: a machine whose size nobody gave is as large as the job takes; one
// that is too small is refused, and told a size that is enough.
func TestFitMemory(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		workload, params, strategy string
		least, most                uint64 // MiB of memory
	}{
		{"churn", "", results.StrategyRCU, 1024, 1024},
		{"churn", "slots=65536", results.StrategyRCU, 1024, 1024},
		{"lookup", "", results.StrategyNone, 1024, 1024},
		{"bigarray", "", results.StrategyRCU, 5760, 6144},
		{"bigarray", "size=4608MiB", results.StrategyImmediate, 5200, 6144},
		// 4096 maps of 32768 elements, 80 bytes an element.
		{"churn", "slots=4096 inner=hash inner-entries=32768", results.StrategyRCU, 11000, 14500},
		{"churn", "slots=4096 inner=hash inner-entries=32768 fill=10 count=10", results.StrategyRCU, 1024, 1024},
		{"lookup", "map=percpu-array size=512MiB value-size=4096", results.StrategyNone, 1400, 1800},
		{"lookup", "map=array-of-maps size=1GiB", results.StrategyNone, 3400, 3900},
	} {
		job := jobOf(tt.workload, tt.params)
		var vm target.Machine
		err := fitMemory(&vm, job, []string{tt.strategy})
		var host *target.MemoryError
		if errors.As(err, &host) {
			t.Logf("%s %s: %v", tt.workload, tt.params, err) // a small host
			err = nil
		}
		if err != nil || vm.MemoryBytes < tt.least*mib || vm.MemoryBytes > tt.most*mib {
			t.Errorf("%s %s: %d MiB, %v, want %d to %d", tt.workload, tt.params, vm.MemoryBytes/mib, err, tt.least, tt.most)
		}
		takes, err := job.MemoryBytes(2)
		if err == nil {
			t.Errorf("%s: a job without a strategy takes %d", tt.workload, takes)
		}
		job.Strategy = tt.strategy
		if takes, err = job.MemoryBytes(2); err != nil {
			t.Fatal(err)
		}
		need := machineMemory(takes)
		vm = target.Machine{MemoryBytes: need}
		if err := fitMemory(&vm, job, []string{tt.strategy}); err != nil || vm.MemoryBytes != need {
			t.Errorf("%s %s: the size that it was told, %d MiB, is not enough: %v", tt.workload, tt.params, need/mib, err)
		}
		var machine *target.MachineError
		vm.MemoryBytes = need / 2
		if err := fitMemory(&vm, job, []string{tt.strategy}); !errors.As(err, &machine) || !strings.Contains(err.Error(), "leave --memory out, use ") {
			t.Errorf("%s %s: half of what it takes: %v", tt.workload, tt.params, err)
		}
	}
}

// TestFitMemoryOfNoHost: what no host has is told before anything boots.
func TestFitMemoryOfNoHost(t *testing.T) {
	var host *target.MemoryError
	for _, tt := range []struct{ workload, params, strategy string }{
		{"churn", "slots=4294967295 inner-entries=4294967295 inner-value-size=1073741824", results.StrategyRCU},
		{"lookup", "map=percpu-array size=64TiB value-size=32768", results.StrategyNone},
		{"bigarray", "size=1TiB value-size=1GiB", results.StrategyRCU},
	} {
		if err := fitMemory(&target.Machine{}, jobOf(tt.workload, tt.params), []string{tt.strategy}); !errors.As(err, &host) {
			t.Errorf("%s %s: %v", tt.workload, tt.params, err)
		}
	}
}
