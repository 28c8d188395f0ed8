// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"testing"

	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--count=20000", ""}, // a round number
		{"--count=19999", "--count must be from 20000 to 2^40"},
		{"--size=0", "--size must be more than 0"},
		{"--size=64GiB", "at most 4294967295 (give a larger --value-size)"},
		{"--size=5GiB --value-size=3GiB", "the kernel's limit"},
		{"--size=64MiB --value-size=4", "room for a stamp"},
		{"--size=4KiB --value-size=8MiB", "holds no element"},
		{"--elements=9", "--elements must be from 10 to 2^20"},
	} {
		w := new(Workload)
		workloadtest.CheckArgs(t, w, tt.args, w.Strategies()[0], tt.want)
	}
}
