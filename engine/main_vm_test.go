// SPDX-License-Identifier: Apache-2.0

//go:build vm

package engine

import (
	"testing"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	_ "github.com/mapprof/mapprof/workloads/all" // to run churn
)

func TestMain(m *testing.M) { vmtest.Main(m, trial.Handlers().With(faults())) }
