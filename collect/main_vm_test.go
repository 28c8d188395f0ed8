// SPDX-License-Identifier: Apache-2.0

//go:build vm

package collect_test

import (
	"testing"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/target/task"
	_ "github.com/mapprof/mapprof/workloads/all" // to run churn
)

func TestMain(m *testing.M) {
	vmtest.Main(m, task.Handlers{
		lossTask:      task.Handle(provokeLosses),
		footprintTask: task.Handle(footprints),
		histogramTask: task.Handle(checkLookupHistogram),
		gapsTask:      task.Handle(drawGaps),
		symbolsTask:   task.Handle(findSymbols),
		beforeTask:    task.Handle(dieBefore),
	})
}
