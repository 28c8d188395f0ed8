// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

func TestManyScenarios(t *testing.T) {
	fixture.CheckLinear(t, 1500, func(run *results.Run) {
		entries := model.EntriesOf([]*model.Loaded{{Name: "run", Run: run}}, model.Filter{}, "")
		facets, groups := model.FacetsOf(entries), model.JoinKernels(model.GroupsOf(run))
		if len(entries) != len(run.Scenarios) || len(facets) == 0 || len(groups) == 0 {
			t.Error("entries are missing")
		}
	})
}
