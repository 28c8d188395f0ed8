// SPDX-License-Identifier: Apache-2.0

package term

import (
	"errors"
	"io"
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

func TestManyScenarios(t *testing.T) {
	fixture.CheckLinear(t, 500, func(run *results.Run) {
		err := errors.Join(WriteTable(io.Discard, run, Options{}), WriteSketch(io.Discard, &model.Loaded{Name: "run", Run: run}, Options{}))
		if err != nil {
			t.Error(err)
		}
	})
}
