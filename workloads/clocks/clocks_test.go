// SPDX-License-Identifier: Apache-2.0

//go:build linux

package clocks

import (
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--count=100000", ""},
		{"--count=99999", "--count must be from 100000 to 2^40"},
		{"--count=2000000000000", "--count must be from 100000 to 2^40"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyNone, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
	for release, refused := range map[string]bool{"5.4.0": true, "5.6.0": false, "7.2.1": false} {
		if err := new(Workload).CheckTarget(results.StrategyNone, workloads.Target{Release: release}); (err != nil) != refused {
			t.Errorf("%s: %v", release, err)
		}
	}
}
