// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
	"github.com/mapprof/mapprof/workloads/mapops"
)

func TestInjectedInstructions(t *testing.T) {
	for text, want := range map[string]float64{
		"":                        0,
		"helper=0.2":              0,
		"syscall=20.8,helper=0.2": 20.8,
		"syscall=0":               0,
	} {
		l := new(Workload)
		workloadtest.CheckArgs(t, l, "--inject-instructions="+text, results.StrategyNone, "")
		if got, err := l.injected(mapops.PathSyscall); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"syscall", "syscall=", "syscall=x", "syscall=NaN", "syscall=-1", "syscall=1001", "mmap=1", "syscall=1,,"} {
		workloadtest.CheckArgs(t, new(Workload), "--inject-instructions="+text, results.StrategyNone, "PATH=NUMBER")
	}
}
