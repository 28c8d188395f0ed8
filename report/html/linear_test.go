// SPDX-License-Identifier: Apache-2.0

package html

import (
	"io"
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

func TestManyScenarios(t *testing.T) {
	for name, few := range map[string]int{"charts": model.MaxDrawn / 8, "a table": 2 * model.MaxDrawn} {
		t.Run(name, func(t *testing.T) {
			fixture.CheckLinear(t, few, func(run *results.Run) {
				if err := Write(io.Discard, []*model.Loaded{{Name: "run", Run: run}}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestManyScenariosOfTwoRuns: what differs between them is linear, too.
func TestManyScenariosOfTwoRuns(t *testing.T) {
	fixture.CheckLinear(t, model.MaxDrawn/2+1, func(run *results.Run) {
		if err := Write(io.Discard, []*model.Loaded{{Name: "a", Run: run}, {Name: "b", Run: run}}); err != nil {
			t.Error(err)
		}
	})
}
