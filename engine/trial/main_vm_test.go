// SPDX-License-Identifier: Apache-2.0

//go:build vm

package trial

import (
	"testing"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/target/task"
	_ "github.com/mapprof/mapprof/workloads/all" // to run churn
)

func TestMain(m *testing.M) {
	vmtest.Main(m, task.Handlers{waitsTask: task.Handle(countWaits), innerTask: task.Handle(churnInner)})
}
