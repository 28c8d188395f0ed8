// SPDX-License-Identifier: Apache-2.0

package html

import (
	"io"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

func TestTooManyScenarios(t *testing.T) {
	run := fixture.Many["strategy"](maxScenarios + 1)
	err := Write(io.Discard, []*model.Loaded{{Name: "run", Run: run}})
	if err == nil || !strings.Contains(err.Error(), "a page of 5001 scenarios") {
		t.Errorf("%v", err)
	}
}

func TestManyScenarios(t *testing.T) {
	fixture.CheckLinear(t, 200, func(run *results.Run) {
		if err := Write(io.Discard, []*model.Loaded{{Name: "run", Run: run}}); err != nil {
			t.Error(err)
		}
	})
}
