// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"math"
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

// TestVMWatchingByProgram: the table of what each probe costs has every copy once for
// each death, and its last row is the sum of the others.
func TestVMWatchingByProgram(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := mapprof(t, "bench", "watching", "--offline", "--clock", "icount", "--rounds", "1", "--only", "full rate", "--by-program")
	rows := regexp.MustCompile(`(?m)^\| (\w+) \| ?(\d*) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$`).FindAllStringSubmatch(stdout, -1)
	if code != exitOK || len(rows) < 5 {
		t.Fatalf("exit %d, %d rows\n%s%s", code, len(rows), stdout, stderr)
	}
	number := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	var runs, ns float64
	for _, row := range rows[:len(rows)-1] {
		runs, ns = runs+number(row[3]), ns+number(row[5])
		if free := row[1] == "fe_free" || row[1] == "fx_free"; free && row[3] != row[2]+".00" {
			t.Errorf("%s is attached %s times, and runs %s times a death", row[1], row[2], row[3])
		}
		if number(row[4]) < 50 { // a reading of the clock alone takes more
			t.Errorf("%s takes %s instructions", row[1], row[4])
		}
	}
	all := rows[len(rows)-1]
	if all[1] != "all" || math.Abs(number(all[3])-runs) > 0.1 || math.Abs(number(all[5])-ns) > 10 {
		t.Errorf("%q, the rows have %.2f runs and %.0f ns", all[0], runs, ns)
	}
	t.Logf("%s", all[0])
}

// TestVMOverhead: a run that boots takes longer than a boot of its image that does
// nothing, and one that begins from a snapshot takes less than that.
func TestVMOverhead(t *testing.T) {
	t.Parallel()
	// The program that is run is the guest's mapprof, so it is built without the tests.
	out, err := exec.CommandContext(t.Context(), builtMapprof(t), "bench", "overhead", "--offline", "--runs", "1", "--limit", "10m", "--ratio", "1000").CombinedOutput()
	ratios := regexp.MustCompile(`(?m)^\| (--.*?) \|.* ([\d.]+) \|$`).FindAllSubmatch(out, -1)
	if err != nil || len(ratios) != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	all := map[string]float64{}
	for _, r := range ratios {
		if all[string(r[1])], err = strconv.ParseFloat(string(r[2]), 64); err != nil {
			t.Errorf("ratio %s: %v\n%s", r[2], err, out)
		}
	}
	t.Log(all)
	if fresh, icount := all["--clock wall --boot fresh"], all["--clock icount"]; fresh <= 1 || icount <= 0 || icount >= 1 {
		t.Errorf("ratios %v\n%s", all, out)
	}
}
