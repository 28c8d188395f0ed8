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
	fixture.CheckLinear(t, 200, func(run *results.Run) {
		if err := Write(io.Discard, []*model.Loaded{{Name: "run", Run: run}}); err != nil {
			t.Error(err)
		}
	})
}
