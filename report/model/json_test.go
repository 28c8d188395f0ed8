// SPDX-License-Identifier: Apache-2.0

package model

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/results"
)

func TestWriteJSON(t *testing.T) {
	run := fixture.NewRun(fixture.RCU(fixture.Kernel612))
	run.Warnings = []string{"\x1b[2J \u009b1m \x7f é"}
	var buf bytes.Buffer
	if err := WriteRun(&buf, run); err != nil {
		t.Fatal(err)
	}
	fixture.CheckText(t, strings.ReplaceAll(buf.String(), "\n", ""), 1<<20, false)
	var back results.Run
	if err := json.Unmarshal(buf.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Warnings[0] != run.Warnings[0] || back.Scenarios[0].Phases["limbo"] != run.Scenarios[0].Phases["limbo"] {
		t.Error("what was printed isn't the run")
	}
}
