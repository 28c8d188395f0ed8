// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// compared makes runs with equal seeds: their figures never change.
func comparedInputs(trials int, clock string, factors ...float64) []compare.Input {
	var in []compare.Input
	for i, f := range factors {
		run := synthetic.Run(trials, 0.0001, f, clock, rand.New(rand.NewPCG(uint64(i), 1)))
		in = append(in, compare.Input{Name: []string{"before", "after", "third"}[i], Run: run})
	}
	return in
}

func mustCompare(t *testing.T, in []compare.Input, o compare.Options) *compare.Comparison {
	t.Helper()
	c, err := compare.Runs(in, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// comparisons are the tables that are shown, by the name of their golden file.
func comparisons(t *testing.T) map[string]*compare.Comparison {
	absent := comparedInputs(3, "icount", 1, 1.02)
	for i := range absent[1].Run.Scenarios[0].Trials {
		delete(absent[1].Run.Scenarios[0].Trials[i].Phases, results.PhaseUpdateWait)
	}
	evil := comparedInputs(3, "icount", 1, 0.5)
	for i := range evil {
		s := &evil[i].Run.Scenarios[0]
		s.Kernel = "::error::\x1b[31m##[group]|<b>@me"
		s.Params["|"] = strings.Repeat("x", i)
	}
	return map[string]*compare.Comparison{
		"compare-three":  mustCompare(t, comparedInputs(3, "icount", 1, 1.02, 0.9), compare.Options{}),
		"compare-wall":   mustCompare(t, comparedInputs(10, "wall", 1, 1.2), compare.Options{}),
		"compare-few":    mustCompare(t, comparedInputs(4, "wall", 1, 1.2), compare.Options{}),
		"compare-absent": mustCompare(t, absent, compare.Options{}),
		"compare-forced": mustCompare(t, evil, compare.Options{Force: true}),
	}
}

func TestWriteComparison(t *testing.T) {
	for name, c := range comparisons(t) {
		var b bytes.Buffer
		if err := WriteComparison(&b, c, Options{}); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name+".golden"), b.String())
		if !strings.HasPrefix(b.String(), "B against A: ") {
			t.Errorf("%s doesn't begin with what changed", name)
		}
		harmless(t, name, b.String())
		b.Reset()
		if err := WriteComparisonMarkdown(&b, c); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, filepath.Join("testdata", name+".md"+".golden"), b.String())
		harmless(t, name, b.String())
		if strings.Contains(b.String(), "<b>") || strings.Contains(b.String(), "@me") {
			t.Errorf("%s: markup of a stranger in Markdown", name)
		}
	}
}

func TestPrecisionAndChange(t *testing.T) {
	center := func(lo, median, hi float64) compare.Center {
		return compare.Center{N: 3, Median: median, Lo: &lo, Hi: &hi}
	}
	for _, c := range []struct {
		center compare.Center
		want   string
	}{
		{center(90, 100, 110), "10%"},
		{center(80, 100, 110), "20%"},
		{center(-110, -100, -90), "10%"},
		{center(-120, -100, -90), "20%"},
		{center(-120, -100, 50), "150%"},
		{center(-100, -100, -100), "0%"},
		{center(0, 0, 0), "0%"},
		{center(-5, 0, 5), model.None},
		{compare.Center{N: 3, Median: -100}, "∞"},
	} {
		if got := precision(c.center); got != c.want {
			t.Errorf("±%s around %v from %v to %v, want %s", got, c.center.Median, c.center.Lo, c.center.Hi, c.want)
		}
	}
	for _, c := range []struct {
		relative, base float64
		text, exact    string
	}{
		{0.5, 100, "+50.0%", "+50.0%"},
		{0.05, 100, "+5.0%", "+5.00%"},
		{11, 100, "×12.0", "×12.0"},
		{0.5, -100, "+50.0%", "+50.0%"}, // to -50
		{-0.5, -100, "−50.0%", "−50.0%"},
		{11, -100, "+1100.0%", "+1100.0%"}, // to 1000
		{0, -100, "0%", "0%"},
	} {
		if got := relativeText(&c.relative, c.base, false); got != c.text {
			t.Errorf("%v of %v: %s, want %s", c.relative, c.base, got, c.text)
		}
		if got := relativeText(&c.relative, c.base, true); got != c.exact {
			t.Errorf("%v of %v on a deterministic clock: %s, want %s", c.relative, c.base, got, c.exact)
		}
	}
}

// harmless holds text to what a terminal and a CI runner may be given.
func harmless(t *testing.T, name, text string) {
	t.Helper()
	if strings.Contains(text, "\x1b") || strings.Contains(text, "##[") {
		t.Errorf("%s: a control sequence or a runner's command in the output", name)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") {
			t.Errorf("%s: a runner's command: %s", name, line)
		}
	}
}

func TestComparisonData(t *testing.T) {
	for name, c := range comparisons(t) {
		var b bytes.Buffer
		if err := WriteComparisonJSON(&b, c); err != nil {
			t.Fatal(err)
		}
		var back compare.Comparison
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Groups) != len(c.Groups) || back.Tests != c.Tests {
			t.Errorf("%s: %v", name, err)
		}
		b.Reset()
		if err := WriteComparisonCSV(&b, c); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		want := 1
		for _, g := range c.Groups {
			for _, r := range g.Rows {
				want += len(r.Cells)
			}
		}
		if err != nil || len(rows) != want {
			t.Errorf("%s: %d rows, want %d: %v", name, len(rows), want, err)
		}
	}
}
