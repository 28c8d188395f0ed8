// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/engine/bench"
	"github.com/mapprof/mapprof/report/model"
)

// growthLine is a row of the table, with the first cost, the last, and their ratio.
var growthLine = regexp.MustCompile(`(?m)^\| (\w+): [\d → ]+ \| (.+) \| (-?[\d.]+) → .*?(-?[\d.]+) [a-zµKM].* \| (-?[\d.]+|[+-]Inf) \| [\d.e+–]+ \|$`)

// TestGrowthKnowsWhatIsDrawn: the benchmark parts the sizes where the pages do.
func TestGrowthKnowsWhatIsDrawn(t *testing.T) {
	if bench.MostDrawn != model.MaxDrawn {
		t.Errorf("measured to %d scenarios, drawn to %d", bench.MostDrawn, model.MaxDrawn)
	}
}

// TestGrowthOfScenarios: the command goes through all that reads runs, and fails where
// the last scenario costs more than the limit says.
func TestGrowthOfScenarios(t *testing.T) {
	// The program that is run is the one that runs it, so it is built without the tests.
	binary := builtMapprof(t)
	growth := func(limit string) (string, error) {
		out, err := exec.CommandContext(t.Context(), binary, "bench", "growth", "--only", "scenarios", "--scenarios", "20,60,200", "--rounds", "1", "--limit", limit).CombinedOutput()
		return string(out), err
	}
	text, err := growth("1e9")
	rows := growthLine.FindAllStringSubmatch(text, -1)
	if err != nil || len(rows) != 12 || !strings.Contains(text, "$ mapprof bench growth --limit=1e+09 --only=scenarios --rounds=1 --scenarios=20,60,200") {
		t.Fatalf("%v: %d rows\n%s", err, len(rows), text)
	}
	for i, command := range []string{"report, charts", "report -o, charts", "compare", "gate", "history", "web, the run's page, charts"} {
		cpu, memory := rows[2*i], rows[2*i+1]
		if cpu[2] != "mapprof "+command+": CPU time" || memory[2] != "mapprof "+command+": memory" || cpu[1] != "scenarios" {
			t.Errorf("%q and %q are not those of %s", cpu[0], memory[0], command)
		}
		// A scenario of three trials is not read for nothing.
		if last, err := strconv.ParseFloat(cpu[4], 64); err != nil || last <= 1 {
			t.Errorf("%s: %v", cpu[0], err)
		}
	}
	if text, err := growth("0.0001"); err == nil || !strings.Contains(text, "report, charts: CPU time: the last costs") || !strings.Contains(text, "more than 0.0001") {
		t.Errorf("%v\n%s", err, text)
	}
}
