// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"os/exec"
	"strconv"
	"testing"
)

// TestVMGrowth: of 64 slots the last death costs what that of one does, to a hundredth
// of its instructions, and so does the operation of one run of deaths and a longer one.
func TestVMGrowth(t *testing.T) {
	t.Parallel()
	// The program that is run is the guest's mapprof, so it is built without the tests.
	out, err := exec.CommandContext(t.Context(), builtMapprof(t), "bench", "growth", "--offline", "--only", "deaths,slots", "--deaths", "300,900", "--slots", "1,64").CombinedOutput()
	rows := growthLine.FindAllStringSubmatch(string(out), -1)
	if err != nil || len(rows) != 7 {
		t.Fatalf("%v: %d rows\n%s", err, len(rows), out)
	}
	for i, want := range []struct{ least, most, ratio float64 }{
		{5_000, 100_000, 0.03}, // an operation, instructions
		{5_000, 200_000, 0.5},  // a death with all that the machine does
		{5, 500, 0.2},          // the host's memory, MiB
		{100, 1024, 0.2},       // the guest's
		{5_000, 100_000, 0.03}, // an operation
		{1_000, 50_000, 0.03},  // the programs of a death
		{5, 50, 0.03},          // their runs
	} {
		for _, at := range []int{3, 4} {
			if v, err := strconv.ParseFloat(rows[i][at], 64); err != nil || v < want.least || v > want.most {
				t.Errorf("%s: %v", rows[i][0], err)
			}
		}
		if ratio, err := strconv.ParseFloat(rows[i][5], 64); err != nil || ratio < 1-want.ratio || ratio > 1+want.ratio {
			t.Errorf("%s: %v", rows[i][0], err)
		}
	}
}
