// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// TestVMThroughputUnderRecord: a program that churns keeps 0.97 of its throughput while a
// recording watches it, in instructions. The command itself fails where it does not.
func TestVMThroughputUnderRecord(t *testing.T) {
	t.Parallel()
	// The program that churns is the guest's mapprof, so it is built without the tests.
	cmd := exec.CommandContext(t.Context(), builtMapprof(t), "bench", "watching", "--offline", "--clock", "icount", "--rounds", "1", "--only", "record")
	out, err := cmd.CombinedOutput()
	row := regexp.MustCompile(`\| churn, as by default, under record \| \d+ \| \d+ \| ([\d.]+) \|.*`).FindSubmatch(out)
	if err != nil || row == nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if kept, err := strconv.ParseFloat(string(row[1]), 64); err != nil || kept < 0.97 || kept > 1.1 {
		t.Errorf("it kept %s of its throughput: %v", row[1], err)
	}
	t.Logf("%s", row[0])
}
