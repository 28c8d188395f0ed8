// SPDX-License-Identifier: Apache-2.0

package compare_test

import (
	"fmt"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// TestRunsLinear: four times as many scenarios are compared with four times as many
// allocations, whatever they differ in: what is quadratic makes sixteen times as many.
func TestRunsLinear(t *testing.T) {
	for what, change := range map[string]func(s *results.Scenario, name string){
		"parameter": func(s *results.Scenario, name string) { s.Params = map[string]string{"count": name} },
		"kernel":    func(s *results.Scenario, name string) { s.Kernel = name },
		"strategy":  func(s *results.Scenario, name string) { s.Strategy.Requested = name },
		"nothing":   func(*results.Scenario, string) {},
	} {
		inputs := func(n int) (out []compare.Input) {
			for _, name := range []string{"a", "b"} {
				run := synthetic.Seeded(3, 0.01, 1, results.ClockICount, 1)
				one := run.Scenarios[0]
				run.Scenarios = nil
				for i := range n {
					s := one
					s.ID = fmt.Sprint(i)
					change(&s, s.ID)
					run.Scenarios = append(run.Scenarios, s)
				}
				out = append(out, compare.Input{Name: name, Run: run})
			}
			return out
		}
		allocs := func(n int) float64 {
			in := inputs(n)
			return testing.AllocsPerRun(1, func() {
				c, err := compare.Runs(in, compare.Options{By: compare.ByRun})
				if err != nil || len(c.Groups) != n || len(c.Unmatched) != 0 {
					t.Fatalf("%v: %d groups of %d, unmatched %v", err, len(c.Groups), n, c.Unmatched)
				}
			})
		}
		few, many := allocs(100), allocs(400)
		if many > 5*few {
			t.Errorf("differing in %s: 100 scenarios make %.0f allocations, 400 make %.0f", what, few, many)
		}
	}
}
