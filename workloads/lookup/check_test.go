// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
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
		{"--unprivileged", ""},
		{"--unprivileged --map=hash-of-maps", ""},
		{"--unprivileged --map=hash", "--unprivileged needs --map array, array-of-maps or hash-of-maps"},
		{"--unprivileged --map=percpu-array", "--unprivileged needs --map"},
		{"--sample=1", ""},
		{"--sample=65536", ""},
		{"--sample=0", "--sample must be a power of two from 1 to 65536"},
		{"--sample=24", "--sample must be a power of two from 1 to 65536"},
		{"--sample=131072", "--sample must be a power of two from 1 to 65536"},
		{"--sample=32768 --count=20000", "--sample 32768 leaves none of 20000 lookups"},
		{"--sample=16 --path=inlined", "--sample needs a path that a probe sees"},
		{"--sample=16 --path=inlined,helper", ""},
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

// TestUnprivilegedMemory: there are the same maps again, rounded up, and some to be
// measured.
func TestUnprivilegedMemory(t *testing.T) {
	l := new(Workload)
	workloadtest.CheckArgs(t, l, "--size=65MiB", results.StrategyNone, "")
	alone := l.MemoryBytes(results.StrategyNone, 2)
	l.Unprivileged = true
	if both, most := l.MemoryBytes(results.StrategyNone, 2), uint64(128+3*65+3*128)<<20; both < alone+most {
		t.Errorf("%d bytes alone, %d with those of CAP_BPF alone, which take %d", alone, both, most)
	}
	if err := l.CheckTarget(results.StrategyNone, workloads.Target{Release: "5.7.1"}); err == nil || !strings.Contains(err.Error(), "CAP_BPF") {
		t.Error(err)
	}
	if err := l.CheckTarget(results.StrategyNone, workloads.Target{Release: "5.10.1"}); err != nil {
		t.Error(err)
	}
}
