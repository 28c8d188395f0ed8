// SPDX-License-Identifier: Apache-2.0

package workloads

import "testing"

func TestCheckHold(t *testing.T) {
	for _, tt := range []struct{ args, strategy, want string }{
		{"--hold-reader=rcu=20ms", StrategyRCU, ""},
		{"--hold-reader=tasks-trace=200ms", StrategyRCU, ""},
		{"--hold-reader=tasks-trace=200ms", StrategyImmediate, "no grace period"},
		{"--hold-reader=rcu=20ms", StrategySync, "no grace period"},
		{"--hold-reader=rcu=20ms --slots=2 --batch=2", StrategyRCU, "--batch"},
		{"--hold-reader=rcu=2s --duration=1s", StrategyRCU, "longer"},
		{"--hold-reader=rcu=0s,2s --duration=1s", StrategyRCU, "=2s is longer"},
		{"--hold-reader=sleep", StrategyRCU, "--hold-reader"},
	} {
		checkArgs(t, new(Churn), tt.args, tt.strategy, tt.want)
	}
}
