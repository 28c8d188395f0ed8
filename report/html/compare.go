// SPDX-License-Identifier: Apache-2.0

package html

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/report/model"
	"github.com/mapprof/mapprof/results"
)

// comparison is the tables of analyze.Compare as the page shows them.
type comparison struct {
	Title     string
	Overviews []compareOverview // where two sides are compared
	Tables    []compareTable
	Forced    []string
	Warnings  []string
	Problem   string // why there is no table
	Method    string
}

// compareOverview has a row for each pair of scenarios and a column for each
// of the main figures.
type compareOverview struct {
	Base, Other string
	Part        string // of several, which
	Columns     []string
	Rows        []overviewRow
}

type overviewRow struct {
	Name  string
	Cells []overviewCell
}

type overviewCell struct {
	Base string
	compareCell
}

type compareTable struct {
	Name  string
	Sides []string
	// Rows are the figures that most people look at, More the others.
	Rows, More []compareRow
}

type compareRow struct {
	Metric string
	Base   string
	BaseCI string
	Cells  []compareCell
}

type compareCell struct {
	Value, CI, Delta string
	Verdict          string // empty: none was reached
	Class            string
	Title            string // how it was reached, or why not
}

// mainFigures are the figures that are shown first: of limbo, and of what else a
// user waits for.
func mainFigures() []string {
	limbo := results.PhaseLimbo
	list := []string{limbo + "/p50", limbo + "/p99", compare.FigurePeakBytes, compare.FigureByteSeconds}
	for _, phase := range results.FeltPhases() {
		if phase != limbo {
			list = append(list, phase+"/p50")
		}
	}
	return list
}

// comparisonsOf compares runs with each other where there are several, and
// otherwise strategies and kernels within the run.
func comparisonsOf(runs []*model.Loaded, entries []*model.Entry) []comparison {
	if len(entries) < 2 {
		return nil
	}
	inputs := make([]compare.Input, 0, len(runs))
	for ri, l := range runs {
		run := *l.Run
		run.Scenarios = nil
		for _, e := range entries {
			if e.RunIndex == ri {
				run.Scenarios = append(run.Scenarios, *e.Scenario)
			}
		}
		if len(run.Scenarios) > 0 {
			inputs = append(inputs, compare.Input{Name: model.ShortRuns(entries)[ri], Run: &run})
		}
	}
	if len(inputs) > 1 {
		return []comparison{compareBy(inputs, compare.ByRun, "Runs", model.ShortKernels(entries))}
	}
	var out []comparison
	for _, by := range []struct{ by, title string }{{compare.ByStrategy, "Strategies"}, {compare.ByKernel, "Kernels"}, {compare.ByWorkload, "Workloads"}} {
		if c := compareBy(inputs, by.by, by.title, model.ShortKernels(entries)); c.Problem == "" {
			out = append(out, c)
		}
	}
	return out
}

// compareBy compares, and calls kernels by the names in short.
func compareBy(inputs []compare.Input, by, title string, short map[string]string) comparison {
	out := comparison{Title: title}
	c, err := compare.Runs(inputs, compare.Options{By: by, Force: true})
	var inc *compare.IncomparableError
	switch {
	case errors.As(err, &inc):
		out.Problem = "Nothing here can be compared: " + strings.Join(inc.Reasons, "; ") + "."
		return out
	case err != nil:
		out.Problem = err.Error()
		return out
	}
	out.Forced, out.Warnings = c.Forced, c.Warnings
	for _, u := range c.Unmatched {
		out.Warnings = append(out.Warnings, u+" is compared with nothing")
	}
	out.Method = methodText(c)
	names, first := kernelNames(short), mainFigures()
	for _, g := range c.Groups {
		t := compareTable{Name: names.Replace(g.Name)}
		for _, s := range g.Sides {
			t.Sides = append(t.Sides, names.Replace(s.Label)+" ("+model.Plural(uint64(max(0, s.Trials)), "trial")+")")
		}
		for _, r := range g.Rows {
			row := compareRow{Metric: r.Metric, Base: model.FormatFigure(r.Base.Median, r.Base.N, r.Unit), BaseCI: interval(r.Base, r.Unit)}
			for _, cell := range r.Cells {
				row.Cells = append(row.Cells, compareCellOf(cell, r))
			}
			if slices.Contains(first, r.Metric) {
				t.Rows = append(t.Rows, row)
			} else {
				t.More = append(t.More, row)
			}
		}
		slices.SortStableFunc(t.Rows, func(a, b compareRow) int {
			return slices.Index(first, a.Metric) - slices.Index(first, b.Metric)
		})
		if len(t.Rows) == 0 {
			t.Rows, t.More = t.More, nil
		}
		out.Tables = append(out.Tables, t)
	}
	out.overview()
	return out
}

// kernelNames replaces releases by shorter names, the longest ones first.
func kernelNames(short map[string]string) *strings.Replacer {
	var releases []string
	for k := range short {
		if k != "" {
			releases = append(releases, k)
		}
	}
	slices.SortFunc(releases, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, k := range releases {
		pairs = append(pairs, safetext.Name(k), short[k])
	}
	return strings.NewReplacer(pairs...)
}

// methodText says how verdicts are reached, and how many could not be.
func methodText(c *compare.Comparison) string {
	text := fmt.Sprintf("Medians of trials with 95%% confidence intervals where there are enough of them. A verdict needs p ≤ %s after Holm's correction over %s, and a difference above %s.",
		strconv.FormatFloat(c.Alpha, 'g', 3, 64), model.Plural(uint64(max(0, c.Tests)), "test"), thresholdText(c))
	few, all, need := 0, 0, 0
	for _, g := range c.Groups {
		for _, r := range g.Rows {
			for _, cell := range r.Cells {
				all++
				if cell.Effect == compare.EffectFew {
					few++
					need = max(need, cell.Need)
				}
			}
		}
	}
	if few > 0 {
		text += fmt.Sprintf(" %d of %d have too few trials for any verdict", few, all)
		if need > 0 {
			text += fmt.Sprintf(": %d on each side would be enough", need)
		}
		text += "."
	}
	return text
}

func thresholdText(c *compare.Comparison) string {
	var texts []string
	for _, g := range c.Groups {
		if t := strconv.FormatFloat(g.Threshold*100, 'g', 3, 64) + "%"; !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, " or ")
}

// overview sets pairs below each other, when all of them are pairs of the same
// two.
func (c *comparison) overview() {
	for _, t := range c.Tables {
		if len(t.Sides) != 2 || t.Sides[0] != c.Tables[0].Sides[0] || t.Sides[1] != c.Tables[0].Sides[1] {
			return
		}
	}
	if len(c.Tables) == 0 {
		return
	}
	o := compareOverview{Base: c.Tables[0].Sides[0], Other: c.Tables[0].Sides[1]}
	for _, name := range mainFigures() {
		if slices.ContainsFunc(c.Tables, func(t compareTable) bool {
			return slices.ContainsFunc(t.Rows, func(r compareRow) bool { return r.Metric == name })
		}) {
			o.Columns = append(o.Columns, name)
		}
	}
	for _, t := range c.Tables {
		row := overviewRow{Name: t.Name, Cells: make([]overviewCell, len(o.Columns))}
		for _, r := range t.Rows {
			if i := slices.Index(o.Columns, r.Metric); i >= 0 {
				row.Cells[i] = overviewCell{r.Base, r.Cells[0]}
			}
		}
		o.Rows = append(o.Rows, row)
	}
	if len(o.Columns) > 0 {
		c.Overviews = []compareOverview{o}
	}
}

// mostNamed is how many scenarios that are compared with nothing a brief page names.
const mostNamed = 20

// shorten leaves the main figures, in parts.
func (c *comparison) shorten() {
	if len(c.Overviews) > 0 {
		whole := c.Overviews[0]
		c.Tables, c.Overviews = nil, nil
		for rows := range slices.Chunk(whole.Rows, partRows) {
			part := whole
			part.Part, part.Rows = partName(len(c.Overviews)*partRows, len(rows)), rows
			c.Overviews = append(c.Overviews, part)
		}
	}
	for i := range c.Tables {
		c.Tables[i].More = nil
	}
	if n := len(c.Warnings) - mostNamed; n > 0 {
		c.Warnings = append(c.Warnings[:mostNamed:mostNamed], fmt.Sprintf("%d more of these are told by mapprof compare", n))
	}
}

func compareCellOf(c compare.Cell, r compare.Row) compareCell {
	out := compareCell{Value: model.FormatFigure(c.Center.Median, c.Center.N, r.Unit), CI: interval(c.Center, r.Unit), Class: c.Effect}
	if c.Relative != nil {
		out.Delta = formatDelta(*c.Relative, r.Base.Median)
	}
	var why []string
	switch c.Effect {
	case compare.EffectWorse, compare.EffectBetter:
		out.Verdict = c.Effect
	case compare.EffectFew:
		why = append(why, "too few trials")
		if c.Need > 0 {
			why = append(why, fmt.Sprintf("%d on each side would be enough", c.Need))
		}
	case compare.EffectAbsent:
		why = append(why, "absent on one side")
	case compare.EffectUnfit:
		why = append(why, "the units differ")
	case compare.EffectLoad:
		why = append(why, "not under the same load")
	case compare.EffectSame:
		why = append(why, "no difference shown")
	case compare.EffectSmall:
		why = append(why, "below the threshold")
	}
	if c.PHolm != nil {
		why = append(why, "p "+model.FormatP(*c.PHolm)+" after Holm's correction")
	}
	if c.Method != "" {
		why = append(why, c.Method)
	}
	if c.Note != "" {
		why = append(why, c.Note)
	}
	out.Title = strings.Join(why, "; ")
	return out
}

// formatDelta prints a change relative to a base: as a factor where it is large,
// unless the base is negative and there is none.
func formatDelta(d, base float64) string {
	switch {
	case math.IsNaN(d) || math.IsInf(d, 0):
		return model.None
	case d >= 9.995 && base > 0:
		return "×" + model.Significant(d+1, false)
	}
	s := strconv.FormatFloat(math.Abs(d)*100, 'f', 1, 64) + "%"
	switch {
	case s == "0.0%":
		return "±0%"
	case d < 0:
		return "−" + s
	}
	return "+" + s
}

// interval prints a median's confidence interval, where there is one.
func interval(c compare.Center, unit string) string {
	if c.Lo == nil || c.Hi == nil {
		return ""
	}
	return model.FormatFigure(*c.Lo, c.N, unit) + " … " + model.FormatFigure(*c.Hi, c.N, unit)
}
