// SPDX-License-Identifier: Apache-2.0

package html

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze/history"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/report/internal/fixture"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

func madeUpHistory(t *testing.T, name string) *history.History {
	t.Helper()
	var in []history.Input
	for i := range 24 {
		factor := 1.0
		if i >= 12 {
			factor = 1.1
		}
		run := synthetic.Run(1, 0.002, factor, results.ClockICount, rand.New(rand.NewPCG(uint64(i), 5)))
		run.Started = time.Date(2026, 9, 1+i, 3, 0, 0, 0, time.UTC)
		in = append(in, history.Input{Name: fmt.Sprintf("%s%02d", name, i), Run: run})
	}
	h, err := history.OfInputs(in, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestWriteHistory: the page has a dot for each run, a mark where it changed, and
// no markup of a stranger's.
func TestWriteHistory(t *testing.T) {
	h := madeUpHistory(t, `<script>alert(1)</script>"'&`)
	var buf bytes.Buffer
	if err := WriteHistory(&buf, h); err != nil {
		t.Fatal(err)
	}
	page := buf.String()
	if strings.Contains(page, "<script") || strings.Contains(page, " style=") {
		t.Error("the page has a script, or a style of its own")
	}
	dec := xml.NewDecoder(strings.NewReader(page))
	dec.Strict, dec.AutoClose, dec.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	figure := regexp.MustCompile(`(?s)<figcaption>limbo/p50</figcaption>.*?</figure>`).FindString(page)
	if n := strings.Count(figure, `class="dot"`); n != 24 {
		t.Errorf("%d dots for 24 runs", n)
	}
	if n, levels := strings.Count(figure, `class="point worse"`), strings.Count(figure, `class="level"`); n != 1 || levels != 2 {
		t.Errorf("%d marks and %d levels for one change", n, levels)
	}
	// Between the twelfth run and the next one, in the middle.
	if !strings.Contains(figure, `class="point worse" x1="50%"`) {
		t.Error("the mark is not where the change is")
	}
	for _, want := range []string{"24 runs from 2026-09-01 to 2026-09-24", "limbo/p50 &#43;9.8%", "nothing else is new with it"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

// TestReportHistory: a report of three runs has a history, one of two has none.
func TestReportHistory(t *testing.T) {
	f := fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 30}
	var runs []*model.Loaded
	for i, want := range []bool{false, false, true} {
		f.Started = time.Date(2026, 9, 1+i, 3, 0, 0, 0, time.UTC)
		runs = append(runs, loadFixture(t, f))
		if got := strings.Contains(renderHTML(t, runs...), `id="history"`); got != want {
			t.Errorf("%d runs: a history: %v", i+1, got)
		}
	}
}
