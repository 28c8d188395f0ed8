// SPDX-License-Identifier: Apache-2.0

package churn

import (
	"testing"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheckHold(t *testing.T) {
	for _, tt := range []struct{ args, strategy, want string }{
		{"--hold-reader=rcu=20ms", workloads.StrategyRCU, ""},
		{"--hold-reader=tasks-trace=200ms", workloads.StrategyRCU, ""},
		{"--hold-reader=tasks-trace=200ms", workloads.StrategyImmediate, "no grace period"},
		{"--hold-reader=rcu=20ms", workloads.StrategySync, "no grace period"},
		{"--hold-reader=rcu=20ms --slots=2 --batch=2", workloads.StrategyRCU, "--batch"},
		{"--hold-reader=rcu=2s --duration=1s", workloads.StrategyRCU, "longer"},
		{"--hold-reader=rcu=0s,2s --duration=1s", workloads.StrategyRCU, "=2s is longer"},
		{"--hold-reader=sleep", workloads.StrategyRCU, "--hold-reader"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, tt.strategy, tt.want)
	}
}
