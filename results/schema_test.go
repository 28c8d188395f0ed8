// SPDX-License-Identifier: Apache-2.0

package results

import "testing"

func TestKernelName(t *testing.T) {
	for id, want := range map[string]string{
		"churn/6.12.1/rcu":    "6.12.1",
		"churn/6.12.1#2/rcu":  "6.12.1#2",
		"churn/6.12.1#12/rcu": "6.12.1#12",
		"churn/6.12.1#1/rcu":  "6.12.1",
		"churn/6.12.1#-2/rcu": "6.12.1",
		"churn/6.12.1#2":      "6.12.1",
		"6.12.1#2/rcu":        "6.12.1",
		"churn/#":             "6.12.1",
		"":                    "6.12.1",
	} {
		s := Scenario{ID: id, Workload: "churn", Kernel: "6.12.1", Strategy: Strategy{Requested: "rcu"}}
		if got := s.KernelName(); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
