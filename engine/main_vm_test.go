// SPDX-License-Identifier: Apache-2.0

//go:build vm

package engine

import (
	"testing"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
)

func TestMain(m *testing.M) { vmtest.Main(m, trial.Handlers()) }
