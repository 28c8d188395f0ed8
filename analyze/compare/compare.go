// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// What a comparison may set side by side.
const (
	ByRun      = "run"
	ByStrategy = "strategy"
	ByKernel   = "kernel"
	ByWorkload = "workload"
)

// Effects: what became of a figure. Only the first two are claims.
const (
	EffectWorse  = "worse"
	EffectBetter = "better"
	EffectSame   = "same"   // no difference that could be told from none
	EffectSmall  = "small"  // a real difference, under the threshold
	EffectFew    = "few"    // too few trials to say
	EffectAbsent = "absent" // on at least one side there are no values
	EffectUnfit  = "unfit"  // the two sides have different units
	EffectLoad   = "load"   // the two sides were not under the same load
)

// Effect thresholds when none is given: on a wall clock what other things on
// the machine cause, on a deterministic one what a reader may care about.
const (
	DefaultWallThreshold  = 0.05
	DefaultExactThreshold = 0.005
	DefaultAlpha          = 0.05
)

// Input is a run to compare, and what to call it.
type Input struct {
	Name string
	Run  *results.Run
}

// Options say how to compare.
type Options struct {
	By        string  // ByRun when empty
	Alpha     float64 // 0: DefaultAlpha
	Threshold float64 // relative; 0: by the clock
	// Force compares what isn't comparable, and says so.
	Force bool
	// Turns says that trials of one index ran in one turn: Change is of pairs
	// then, on a wall clock.
	Turns bool
}

// Comparison is the whole table: for every group of scenarios the first side
// against each of the others.
type Comparison struct {
	By    string  `json:"by"`
	Alpha float64 `json:"alpha"`
	Tests int     `json:"tests"` // the family of Holm's correction
	// TurnNS is how long the runs took for a trial of everything in them.
	TurnNS int64   `json:"turn_ns,omitempty"`
	Groups []Group `json:"groups"`
	// Unmatched names scenarios that have nothing to be compared with.
	Unmatched []string `json:"unmatched,omitempty"`
	// Forced says what isn't comparable and was compared all the same.
	Forced   []string `json:"forced,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Group is scenarios that differ in what is compared and, if nothing
// was forced, in nothing else.
type Group struct {
	Name          string  `json:"name"`
	Deterministic bool    `json:"deterministic"`
	Threshold     float64 `json:"threshold"`
	Sides         []Side  `json:"sides"`
	Rows          []Row   `json:"rows"`
}

// Side is one scenario of a group.
type Side struct {
	Label     string `json:"label"`
	Scenario  string `json:"scenario"`
	Kernel    string `json:"kernel"`
	Requested string `json:"strategy_requested"`
	Observed  string `json:"strategy_observed"`
	Clock     string `json:"clock"`
	Trials    int    `json:"trials"` // whole ones
	Input     int    `json:"-"`      // index of the run among those compared
}

// Row is one figure: the first side's centre and, for each other side,
// its own and what changed.
type Row struct {
	Metric string `json:"metric"`
	Unit   string `json:"unit"`
	Better string `json:"better"`
	// Samples is of how many values the figure is in a trial, in the one that
	// has the fewest; 0 where it is of the trial as a whole.
	Samples uint64 `json:"samples"`
	Base    Center `json:"base"`
	Cells   []Cell `json:"cells"`
}

// Cell is one side against the first.
type Cell struct {
	Center Center `json:"center"`
	// Delta is absolute, Relative a fraction of the first side's median: nil
	// where that is 0 or a side is absent.
	Delta    *float64 `json:"delta"`
	Relative *float64 `json:"relative"`
	Method   string   `json:"method,omitempty"`
	// Change is the estimate of the difference with its confidence interval;
	// nil where a side is absent or the units differ.
	Change *Interval `json:"change"`
	// P is of this test alone, PHolm after Holm's correction over the table.
	P     *float64 `json:"p"`
	PHolm *float64 `json:"p_holm"`
	// Spread is the relative standard deviation between trials.
	Spread *float64 `json:"spread"`
	Effect string   `json:"effect"`
	// Need is how many trials on each side would be enough, where there are
	// too few.
	Need int    `json:"need_trials,omitempty"`
	Note string `json:"note,omitempty"`
	// Test is what the verdict rests on.
	Test Test `json:"-"`
	// Trials are those that Change is of.
	Trials *Change `json:"-"`
}

// turn is how long a run took for a trial of each of its scenarios.
func turn(run *results.Run) time.Duration {
	trials := 0
	for i := range run.Scenarios {
		trials = max(trials, len(run.Scenarios[i].Trials))
	}
	if trials == 0 {
		return 0
	}
	return max(0, run.Ended.Sub(run.Started)/time.Duration(trials))
}

// Runs compares runs, or the scenarios in them. It reads nothing but what
// run.json holds. An *IncomparableError says what speaks against it.
func Runs(inputs []Input, o Options) (*Comparison, error) {
	if o.By == "" {
		o.By = ByRun
	}
	if o.Alpha == 0 {
		o.Alpha = DefaultAlpha
	}
	switch {
	case len(inputs) == 0, o.By == ByRun && len(inputs) < 2:
		return nil, errors.New("compare: two runs are needed (or one, with --by strategy, kernel or workload)")
	case !slices.Contains([]string{ByRun, ByStrategy, ByKernel, ByWorkload}, o.By):
		return nil, fmt.Errorf("compare by %q: not one of run, strategy, kernel, workload", o.By)
	}
	c := &Comparison{By: o.By, Alpha: o.Alpha}
	groups := match(inputs, o.By, c)
	if len(groups) == 0 {
		return nil, &IncomparableError{Reasons: []string{nothingInCommon(c)}}
	}
	reasons := []string{}
	for _, g := range groups {
		for _, v := range g.Variants[1:] {
			reasons = analyze.AppendNew(reasons, differences(g.Variants[0], v, o.By)...)
			c.Warnings = analyze.AppendNew(c.Warnings, caveats(g.Variants[0], v)...)
		}
	}
	if len(reasons) > 0 {
		if !o.Force {
			return nil, &IncomparableError{Reasons: reasons}
		}
		c.Forced = reasons
	}
	for _, in := range inputs {
		c.TurnNS += turn(in.Run).Nanoseconds()
		if note := RepeatedTrials(in.Run); note != "" {
			c.Warnings = analyze.AppendNew(c.Warnings, safetext.Name(in.Name)+": "+note)
		}
	}
	for _, g := range groups {
		cg, err := compareGroup(g, o)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", safetext.Name(g.name), err)
		}
		c.Groups = append(c.Groups, cg)
	}
	c.judge()
	for i := range c.Groups {
		c.Warnings = analyze.AppendNew(c.Warnings, c.Groups[i].unequalLoads()...)
	}
	return c, nil
}

func nothingInCommon(c *Comparison) string {
	if c.By == ByRun {
		return ErrNothingMatched.Error()
	}
	return "no two scenarios differ only in their " + c.By
}

func compareGroup(g matched, o Options) (Group, error) {
	out := Group{Name: g.name, Deterministic: true, Threshold: o.Threshold}
	figures := make([]map[string]Figure, len(g.Variants))
	var order []Figure
	for i, v := range g.Variants {
		out.Deterministic = out.Deterministic && results.Deterministic(v.target.Clock)
		out.Sides = append(out.Sides, v.side())
		fs, err := FiguresOf(v.Scenario)
		if err != nil {
			return out, fmt.Errorf("%s: %w", v.input.Name, err)
		}
		figures[i] = map[string]Figure{}
		for _, f := range fs {
			figures[i][f.Name] = f
			if !slices.ContainsFunc(order, func(o Figure) bool { return o.Name == f.Name }) {
				order = insertFigure(order, f)
			}
		}
	}
	if out.Threshold == 0 {
		out.Threshold = DefaultWallThreshold
		if out.Deterministic {
			out.Threshold = DefaultExactThreshold
		}
	}
	for _, f := range order {
		base := figures[0][f.Name]
		row := Row{Metric: f.Name, Unit: f.Unit, Better: f.Better, Samples: f.Samples, Base: base.center(out.Deterministic)}
		for _, other := range figures[1:] {
			cell, err := compareFigure(base, other[f.Name], out.Deterministic, o.Turns)
			if err != nil {
				return out, fmt.Errorf("%s: %w", safetext.Name(f.Name), err)
			}
			row.Cells = append(row.Cells, cell)
			if n := other[f.Name].Samples; n > 0 {
				row.Samples = min(row.Samples, n)
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

// insertFigure keeps the order of FiguresOf when another side has more.
func insertFigure(order []Figure, f Figure) []Figure {
	at := len(order)
	for at > 0 && figureRank(order[at-1].Name) > figureRank(f.Name) {
		at--
	}
	return slices.Insert(order, at, f)
}

func compareFigure(a, b Figure, deterministic, turns bool) (Cell, error) {
	cell := Cell{Center: b.center(deterministic)}
	if len(a.Values) == 0 || len(b.Values) == 0 {
		cell.Effect = EffectAbsent
		cell.Test.P = math.NaN()
		return cell, nil
	}
	if a.Unit != b.Unit || a.Better != b.Better {
		cell.Effect, cell.Note = EffectUnfit, fmt.Sprintf("%s (%s is better) against %s (%s is better)",
			safetext.Name(a.Unit), a.Better, safetext.Name(b.Unit), b.Better)
		cell.Test.P = math.NaN()
		return cell, nil
	}
	t, err := compareTrials(&a, &b, deterministic)
	if err != nil {
		return cell, err
	}
	cell.Test, cell.Method = t, t.Method
	if turns && !deterministic && slices.Equal(a.TrialIndexes, b.TrialIndexes) {
		cell.Trials = NewPairedChange(&a, &b)
	} else {
		cell.Trials = NewChange(&a, &b, deterministic)
	}
	interval := cell.Trials.Interval(confidence)
	cell.Change = &interval
	center := a.center(false).Median
	delta := cell.Center.Median - center
	cell.Delta = &delta
	if center != 0 {
		relative := delta / math.Abs(center)
		cell.Relative = &relative
	}
	if t.DF > 0 {
		cell.Spread = &t.Spread
	}
	if !math.IsNaN(t.P) {
		cell.P = &t.P
	}
	return cell, nil
}

// judge corrects for the number of tests, and decides.
func (c *Comparison) judge() {
	var cells []*Cell
	var ps []float64
	for i := range c.Groups {
		for j := range c.Groups[i].Rows {
			for k := range c.Groups[i].Rows[j].Cells {
				cell := &c.Groups[i].Rows[j].Cells[k]
				cells, ps = append(cells, cell), append(ps, cell.Test.P)
				if cell.Method != "" {
					c.Tests++
				}
			}
		}
	}
	for i, p := range Holm(ps) {
		if !math.IsNaN(p) {
			cells[i].PHolm = &p
		}
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		for j := range g.Rows {
			for k := range g.Rows[j].Cells {
				cell := &g.Rows[j].Cells[k]
				cell.Decide(g.Rows[j].Base.N, g.Rows[j].Better, Criteria{Alpha: c.Alpha, Tests: c.Tests, Relative: g.Threshold})
			}
		}
	}
}

// Criteria are what a difference is judged by. It must exceed both thresholds.
type Criteria struct {
	Alpha    float64 // level of the whole family of tests
	Tests    int     // in the family
	Relative float64 // threshold, a fraction of the base's median
	Absolute float64 // threshold, in the figure's unit
}

// Decide sets the cell's Effect: what the difference amounts to, of baseN trials
// on the other side and with that direction being better.
func (c *Cell) Decide(baseN int, better string, d Criteria) {
	if c.Method == "" {
		return // absent or unfit
	}
	if smallestP(c.Method, baseN, c.Center.N) > d.Alpha/float64(max(1, d.Tests)) {
		c.Effect, c.Need = EffectFew, TrialsNeeded(c.Method, d.Alpha, d.Tests)
		return
	}
	size := math.Abs(*c.Delta)
	switch {
	case c.PHolm == nil || *c.PHolm > d.Alpha || size <= c.Test.Floor || size == 0:
		c.Effect = EffectSame
	case size < d.Absolute || c.Relative != nil && math.Abs(*c.Relative) < d.Relative:
		c.Effect = EffectSmall
	case (*c.Delta > 0) == (better == BetterLower):
		c.Effect = EffectWorse
	default:
		c.Effect = EffectBetter
	}
}

// Count says how many cells of a side (1 is the first that is compared) had
// each effect.
func (c *Comparison) Count(side int) map[string]int {
	n := map[string]int{}
	for _, g := range c.Groups {
		for _, r := range g.Rows {
			if side-1 < len(r.Cells) {
				n[r.Cells[side-1].Effect]++
			}
		}
	}
	return n
}
