// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheckHold(t *testing.T) {
	for _, tt := range []struct{ args, strategy, want string }{
		{"--hold-reader=rcu=20ms", results.StrategyRCU, ""},
		{"--hold-reader=tasks-trace=200ms", results.StrategyRCU, ""},
		{"--hold-reader=tasks-trace=200ms", results.StrategyImmediate, "no grace period"},
		{"--hold-reader=rcu=20ms", results.StrategySync, "no grace period"},
		{"--hold-reader=rcu=20ms --slots=2 --batch=2", results.StrategyRCU, "--batch"},
		{"--hold-reader=rcu=2s --duration=1s", results.StrategyRCU, "longer"},
		{"--hold-reader=rcu=0s,2s --duration=1s", results.StrategyRCU, "=2s is longer"},
		{"--hold-reader=sleep", results.StrategyRCU, "--hold-reader"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, tt.strategy, tt.want)
	}
}
