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
		{"--map=lru-hash --filled=1% --path=batch", ""},
		{"--map=hash --filled=0.01%", ""},
		{"--map=hash --filled=100%", ""},
		{"--map=hash --filled=0%", "--filled \"0%\" is not a share of the elements"},
		{"--map=hash --filled=101%", "--filled"},
		{"--map=hash --filled=NaN%", "--filled"},
		{"--map=hash --filled=1", "--filled"},
		{"--filled=1%", "--filled needs --map hash or lru-hash"},
		{"--readers=-1", "--readers must be from 0 to 1024"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyNone, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
}

// TestFilled: a map of 8192 elements has some, and one at least.
func TestFilled(t *testing.T) {
	for args, want := range map[string]uint32{
		"": 8192, "--map=hash": 8192, "--map=hash --filled=100%": 8192, "--map=hash --filled=1%": 81, "--map=lru-hash --filled=0.001%": 1,
	} {
		l := new(Workload)
		workloadtest.CheckArgs(t, l, args, results.StrategyNone, "")
		if got := l.filled(); got != want {
			t.Errorf("%s: %d elements, want %d", args, got, want)
		}
	}
}
