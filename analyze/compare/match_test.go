// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"strings"
	"testing"
)

// Two builds of one release in a run are two sides.
func TestCompareTwoBuilds(t *testing.T) {
	run := many(t)
	for i := range run.Scenarios {
		run.Scenarios[i].Kernel = "6.12"
	}
	c, err := Runs([]Input{{"r", run}}, Options{By: ByKernel})
	if err != nil || len(c.Groups) != 2 || c.Groups[0].Sides[0].Label != "6.12" || c.Groups[0].Sides[1].Label != "6.12#2" {
		t.Errorf("%v %+v", err, c)
	}
}

// One image given twice is two kernels with two strategies each, and the number
// is that of the scenario's ID, whatever else is in the run.
func TestCompareOneKernelTwice(t *testing.T) {
	run := many(t)
	for i := range run.Scenarios {
		s := &run.Scenarios[i]
		nth := map[string]string{"6.1": "", "6.12": "#2"}[s.Kernel]
		s.ID, s.Kernel, s.TargetIx = s.Workload+"/6.12"+nth+"/"+s.Strategy.Requested, "6.12", 0
	}
	c, err := Runs([]Input{{"r", run}}, Options{By: ByStrategy})
	if err != nil || len(c.Groups) != 2 || len(c.Groups[0].Sides) != 2 || c.Groups[1].Name == c.Groups[0].Name {
		t.Errorf("by strategy: %v, not two groups of two", err)
	}
	run.Scenarios[0], run.Scenarios[2] = run.Scenarios[2], run.Scenarios[0]
	if c, err = Runs([]Input{{"r", run}}, Options{By: ByKernel}); err != nil {
		t.Fatal(err)
	}
	for _, g := range c.Groups {
		for _, s := range g.Sides {
			if strings.Contains(s.Scenario, "#2") != strings.Contains(s.Label, "#2") {
				t.Errorf("%s is called %s", s.Scenario, s.Label)
			}
		}
	}
}
