// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// madeUpHistory is of runs of which those after the first 12 are 10 % slower.
func madeUpHistory(t *testing.T, runs int, name string) *history.History {
	t.Helper()
	var in []history.Input
	for i := range runs {
		factor, release := 1.0, "6.12.1"
		if i >= 12 {
			factor, release = 1.1, "6.12.2"
		}
		run := synthetic.Run(1, 0.002, factor, results.ClockICount, rand.New(rand.NewPCG(uint64(i), 5)))
		run.Started = time.Date(2026, 9, 1+i, 3, 0, 0, 0, time.UTC)
		run.Targets[0].Kernel.Release = release
		in = append(in, history.Input{Name: fmt.Sprintf("%s%02d", name, i), Run: run})
	}
	h, err := history.OfInputs(in, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestWriteHistory(t *testing.T) {
	for name, h := range map[string]*history.History{
		"history-changed":   madeUpHistory(t, 24, "run-"),
		"history-unchanged": madeUpHistory(t, 12, "run-"),
		"history-few":       madeUpHistory(t, 3, "run-"),
		"history-evil":      madeUpHistory(t, 24, "::error::\x1b[31m##[group]|<b>"),
	} {
		var b bytes.Buffer
		if err := PrintHistory(&b, h, "table", Options{Width: 100}); err != nil {
			t.Fatal(err)
		}
		fixture.CheckText(t, b.String(), 200, false)
		golden.Check(t, filepath.Join("testdata", name+".golden"), b.String())
		b.Reset()
		if err := PrintHistory(&b, h, "json", Options{}); err != nil {
			t.Fatal(err)
		}
		var back history.History
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Runs) != len(h.Runs) || len(back.Scenarios[0].Series[0].Points) != len(h.Scenarios[0].Series[0].Points) {
			t.Errorf("%s: JSON that comes back as something else: %v", name, err)
		}
	}
}

// TestReportHistory: a report has a history from three runs of a scenario on.
func TestReportHistory(t *testing.T) {
	f := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Trials: 1, Deaths: 20}
	var runs []*model.Loaded
	for i, want := range []bool{false, false, true} {
		f.Started = time.Date(2026, 9, 1+i, 3, 0, 0, 0, time.UTC)
		l, err := model.Load(f.WriteTemp(t))
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, l)
		var b bytes.Buffer
		if err := WriteReportHistory(&b, runs, Options{Width: 100}); err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(b.Bytes(), []byte("3 runs from 2026-09-01 to 2026-09-03")); got != want {
			t.Errorf("%d runs: %s", i+1, b.String())
		}
	}
}
