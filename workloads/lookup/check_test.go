// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--count=20000", ""}, // a round number
		{"--count=19999", "--count must be from 20000 to 2^40"},
		{"--count=2000000000000", "--count must be from 20000 to 2^40"},
		{"--size=0", "--size must be more than 0"},
		{"--path=around", "--path"},
		{"--path=percpu-helper", "--map percpu-array"},
		{"--path=percpu-helper --map=percpu-array", ""},
		{"--path=batch --map=hash-of-maps", "--path batch looks up no inner map"},
		{"--map=tree", "--map"},
		{"--pattern=zigzag", "--pattern"},
		{"--readers=-1", "--readers must be from 0 to 1024"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyNone, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
}
