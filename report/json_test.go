// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

func TestWriteJSON(t *testing.T) {
	run := newRun(rcu(k612))
	run.Warnings = []string{"\x1b[2J \u009b1m \x7f é"}
	var buf bytes.Buffer
	if err := WriteJSON(&buf, run); err != nil {
		t.Fatal(err)
	}
	checkText(t, strings.ReplaceAll(buf.String(), "\n", ""), 1<<20, false)
	var back results.Run
	if err := json.Unmarshal(buf.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Warnings[0] != run.Warnings[0] || back.Scenarios[0].Phases["limbo"] != run.Scenarios[0].Phases["limbo"] {
		t.Error("what was printed isn't the run")
	}
}
