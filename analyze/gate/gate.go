// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// What a gate can say, of a whole run and of one metric.
const (
	VerdictPass         = "pass"
	VerdictRegression   = "regression"
	VerdictInconclusive = "inconclusive"
	// ResultImprovement is only ever said of a metric.
	ResultImprovement = "improvement"
)

// Verdict is what a gate says.
type Verdict struct {
	Verdict   string `json:"verdict"`
	Baseline  string `json:"baseline"`
	Candidate string `json:"candidate"`
	Clock     string `json:"clock,omitempty"`
	// Reasons say why nothing can be concluded from the runs as they are.
	Reasons []string `json:"reasons,omitempty"`
	Checks  []Check  `json:"checks"`
	Notes   []string `json:"notes,omitempty"`
}

// Check is one metric of one group of scenarios.
type Check struct {
	Group     string         `json:"group"`
	Metric    string         `json:"metric"`
	Unit      string         `json:"unit"`
	Better    string         `json:"better"`
	Action    string         `json:"action"`
	Result    string         `json:"result"`
	Reason    string         `json:"reason,omitempty"`
	Base      compare.Center `json:"base"`
	Candidate compare.Center `json:"candidate"`
	Delta     *float64       `json:"delta"`
	Relative  *float64       `json:"relative"`
	// Samples is of how many values the figure is in the trial that has the
	// fewest; 0 where it is of the trial as a whole.
	Samples uint64 `json:"samples,omitempty"`
	// Change is the estimate of the change, with the bounds that the verdict
	// rests on.
	Change *compare.Interval `json:"change"`
	Method string            `json:"method,omitempty"`
	// P is how probable such trials were if it were no worse than the margin,
	// PHolm the same after Holm's correction over all of the same action.
	P      *float64 `json:"p"`
	PHolm  *float64 `json:"p_holm"`
	Margin Margin   `json:"margin"`
	// Need is about how many trials on each side would settle what is
	// inconclusive; 0: none would, or it isn't known.
	Need int `json:"need_trials,omitempty"`
}

// Margin is how much worse a figure may be, and how sure that must be.
type Margin struct {
	// Value is in the figure's unit: the larger of Absolute, of Relative of the
	// baseline's median, and of two steps in which the figure comes.
	Value     float64 `json:"value"`
	Relative  float64 `json:"relative"`
	Absolute  float64 `json:"absolute,omitempty"`
	Alpha     float64 `json:"alpha"`
	PassAlpha float64 `json:"pass_alpha"`
	MinTrials int     `json:"min_trials"`
}

// Inconclusive is the verdict where there is nothing to judge.
func Inconclusive(baseline, candidate string, reasons ...string) *Verdict {
	return &Verdict{Verdict: VerdictInconclusive, Baseline: safetext.Name(baseline), Candidate: safetext.Name(candidate), Reasons: reasons, Checks: []Check{}}
}

// Judge judges a candidate against a baseline. confirm is a second run of the
// candidate, or nil. Whatever is wrong with the runs makes the verdict
// inconclusive: missing data never passes.
func Judge(baseline, candidate compare.Input, confirm *compare.Input, p Policy) *Verdict {
	return judge(baseline, candidate, confirm, p, false)
}

// judge judges; turns says that the trials of both took turns.
func judge(baseline, candidate compare.Input, confirm *compare.Input, p Policy, turns bool) *Verdict {
	v := Inconclusive(baseline.Name, candidate.Name)
	for _, in := range []compare.Input{baseline, candidate} {
		v.Reasons = append(v.Reasons, notEvidence(in, p)...)
	}
	if b, c := baseline.Run, candidate.Run; !b.Started.IsZero() && b.Started.Equal(c.Started) && b.Ended.Equal(c.Ended) {
		v.Reasons = append(v.Reasons, "the candidate is the baseline: one run, held against itself, always passes")
	}
	if len(v.Reasons) > 0 {
		return v
	}
	c, err := compare.Runs([]compare.Input{baseline, candidate}, compare.Options{Turns: turns})
	if err != nil {
		var incomparable *compare.IncomparableError
		if errors.As(err, &incomparable) {
			for _, r := range incomparable.Reasons {
				v.Reasons = append(v.Reasons, "not comparable: "+r)
			}
			return v
		}
		v.Reasons = append(v.Reasons, err.Error())
		return v
	}
	v.Notes = append(v.Notes, c.Warnings...)
	for _, in := range []compare.Input{baseline, candidate} {
		if text, _ := reboots(in); text != "" {
			v.Notes = append(v.Notes, text)
		}
	}
	p, looks := p.perLook(baseline.Run, candidate.Run)
	if looks > 1 {
		v.Notes = append(v.Notes, fmt.Sprintf("%d looks were planned whether this is decided: each has a part of the levels", looks))
	}
	g := &gate{verdict: v, policy: p, hits: make([]bool, len(p.Rules))}
	inputs := []compare.Input{baseline, candidate}
	g.missing(c, inputs)
	for i := range c.Groups {
		g.collect(&c.Groups[i], g.alike(&c.Groups[i], inputs))
	}
	g.judge(ActionBlock)
	g.judge(ActionAdvise)
	g.unmatchedRules()
	if p.Confirm {
		g.confirm(baseline, confirm)
	}
	v.conclude(g.mayBlock)
	return v
}

// missing names the scenarios that one side lacks.
func (g *gate) missing(c *compare.Comparison, inputs []compare.Input) {
	compared := map[string]bool{}
	for _, group := range c.Groups {
		for _, s := range group.Sides {
			compared[fmt.Sprint(s.Input)+s.Scenario] = true
		}
	}
	for i, in := range inputs {
		for _, s := range in.Run.Scenarios {
			if !compared[fmt.Sprint(i)+s.ID] {
				g.differ(DiffersScenarios, fmt.Sprintf("%s: %s has no counterpart in the %s", safetext.Name(in.Name), safetext.Name(s.ID), sideNames[1-i]))
			}
		}
	}
}

type gate struct {
	verdict  *Verdict
	policy   Policy
	hits     []bool // of the rules: something matched
	open     []openCheck
	mayBlock bool // the policy has a rule that could have blocked
	clocks   []string
}

// openCheck is a check that is not decided yet.
type openCheck struct {
	cell  compare.Cell
	out   Check
	clock ClockPolicy
	whole [2]int // trials of each side, with the metric or without
	few   string // why a trial's values are too few for it
}

func (g *gate) collect(group *compare.Group, s *sides) {
	clock, cp := g.policy.clock(group.Deterministic)
	g.verdict.Clock = clock
	if !slices.Contains(g.clocks, clock) {
		g.clocks = append(g.clocks, clock)
	}
	for i := range g.policy.Rules {
		r := &g.policy.Rules[i]
		g.mayBlock = g.mayBlock || r.applies(clock) && g.policy.action(r, clock) == ActionBlock
	}
	for _, row := range group.Rows {
		i := g.policy.rule(row.Metric, group.Sides[0].Observed, clock)
		if i < 0 || s.isExempt(row.Metric) {
			continue
		}
		g.hits[i] = true
		rule := &g.policy.Rules[i]
		better := row.Better
		if rule.Direction != "" {
			better = rule.Direction
		}
		cell := row.Cells[0]
		o := openCheck{cell: cell, clock: cp, whole: [2]int{group.Sides[0].Trials, group.Sides[1].Trials}, out: Check{
			Group: group.Name, Metric: safetext.Name(row.Metric), Unit: safetext.Name(row.Unit), Better: better,
			Action: g.policy.action(rule, clock), Base: row.Base, Candidate: cell.Center, Samples: row.Samples,
			Delta: cell.Delta, Relative: cell.Relative, Method: cell.Method,
			Margin: Margin{Relative: float64(rule.Relative), Absolute: float64(rule.Absolute), Alpha: cp.Alpha, PassAlpha: cp.PassAlpha, MinTrials: cp.minTrials(rule)},
		}}
		if need := enoughSamples[path.Base(row.Metric)]; row.Samples > 0 && row.Samples < need {
			o.few = fmt.Sprintf("%d values in a trial are too few for a %s, %d would be enough", row.Samples, path.Base(row.Metric), need)
			if rule.Optional {
				o.out.Action = ActionAdvise
			}
		}
		o.measure()
		g.open = append(g.open, o)
	}
}

// measure sets the margin, the interval of the change and how probable it is.
func (o *openCheck) measure() {
	out, change := &o.out, o.cell.Trials
	if change == nil {
		return // absent, or in another unit
	}
	out.Margin.Value = max(out.Margin.Absolute, out.Margin.Relative*math.Abs(out.Base.Median), 2*change.Step())
	if change.Paired() {
		out.Method = compare.MethodSignedRank
	}
	interval := change.Interval(1 - out.Margin.PassAlpha)
	out.Change = &interval
	p := change.PAbove(out.Margin.Value)
	if out.Better == compare.BetterHigher {
		p = change.PBelow(-out.Margin.Value)
	}
	out.P = &p
}

// worst and best are the bounds of the change, such that more is worse; NaN
// where there are too few trials for one.
func (c *Check) worst() float64 {
	if c.Better == compare.BetterHigher {
		return -bound(c.Change.Lo)
	}
	return bound(c.Change.Hi)
}

func (c *Check) best() float64 {
	if c.Better == compare.BetterHigher {
		return -bound(c.Change.Hi)
	}
	return bound(c.Change.Lo)
}

func bound(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// enoughSamples is how many values a trial needs for a quantile: so many that
// one lies above it.
var enoughSamples = map[string]uint64{"p90": 10, "p99": 100}

// judge decides the checks of one action: what only advises doesn't make it
// harder to see what blocks.
func (g *gate) judge(action string) {
	var checks []*openCheck
	var ps []float64
	for i := range g.open {
		if o := &g.open[i]; o.out.Action == action {
			p := math.NaN()
			if o.out.P != nil {
				p = *o.out.P
			}
			checks, ps = append(checks, o), append(ps, p)
		}
	}
	for i, p := range compare.Holm(ps) {
		if !math.IsNaN(p) {
			checks[i].out.PHolm = &p
		}
	}
	for _, o := range checks {
		o.decide(len(checks))
		g.verdict.Checks = append(g.verdict.Checks, o.out)
	}
}

// decide judges one figure. A regression must be shown over all that block
// (Holm), and so must a pass of each of them: together they pass only if each
// does, which needs no correction (Berger 1982, intersection–union).
func (o *openCheck) decide(tests int) {
	c, out := &o.cell, &o.out
	out.Result = VerdictInconclusive
	margin := out.Margin.Value
	fewest := min(out.Base.N, out.Candidate.N)
	switch {
	case out.Base.N == 0:
		out.Reason = "the baseline has no such values"
		return
	case out.Candidate.N == 0:
		out.Reason = "the candidate has no such values"
		return
	case c.Effect == compare.EffectUnfit:
		out.Reason = c.Note
		return
	case o.few != "":
		out.Reason = o.few
		return
	case out.Base.N != o.whole[0]:
		out.Reason = fmt.Sprintf("%d of the baseline's %d trials have no such values", o.whole[0]-out.Base.N, o.whole[0])
		return
	case out.Candidate.N != o.whole[1]:
		out.Reason = fmt.Sprintf("%d of the candidate's %d trials have no such values", o.whole[1]-out.Candidate.N, o.whole[1])
		return
	}
	worst, best := out.worst(), out.best()
	switch {
	case fewest < out.Margin.MinTrials || math.IsNaN(worst):
		out.Need = max(out.Margin.MinTrials, c.Trials.LeastTrials(out.Margin.PassAlpha))
		out.Reason = fmt.Sprintf("too few trials: %d and %d, %d on each side would be enough", out.Base.N, out.Candidate.N, out.Need)
	case best > margin && *out.PHolm <= out.Margin.Alpha:
		out.Result = VerdictRegression
	case worst < -margin:
		out.Result = ResultImprovement
	case worst <= margin:
		out.Result = VerdictPass
	default:
		o.unsettled(tests)
	}
}

// unsettled says what would settle an inconclusive figure.
func (o *openCheck) unsettled(tests int) {
	out := &o.out
	limit, alpha := out.Margin.Value, out.Margin.PassAlpha
	estimate := out.Change.Estimate
	if out.Better == compare.BetterHigher {
		limit, estimate = -limit, -estimate
	}
	found := "it may be worse than the limit; "
	if estimate > out.Margin.Value {
		found, alpha = "it seems worse than the limit, which is not sure; ", out.Margin.Alpha/float64(max(1, tests))
	}
	out.Need = o.cell.Trials.TrialsToSettle(limit, alpha)
	if out.Need == 0 {
		out.Reason = found + "it is too near for any number of trials"
		return
	}
	out.Reason = found + fmt.Sprintf("about %d trials on each side would settle it", out.Need)
}

// unmatchedRules makes a rule that must match something and didn't count.
func (g *gate) unmatchedRules() {
	for i := range g.policy.Rules {
		r := &g.policy.Rules[i]
		if g.hits[i] || r.Optional || !slices.ContainsFunc(g.clocks, r.applies) {
			continue
		}
		g.verdict.Reasons = append(g.verdict.Reasons,
			fmt.Sprintf("rule %d of the policy (%s) matches no metric of these runs", i+1, safetext.Name(fmt.Sprint(r.Metrics))))
	}
}

// confirm holds every wall-clock regression that blocks against the second
// run of the candidate.
func (g *gate) confirm(baseline compare.Input, second *compare.Input) {
	var again *Verdict
	for i := range g.verdict.Checks {
		c := &g.verdict.Checks[i]
		if c.Action != ActionBlock || c.Result != VerdictRegression || c.Method == compare.MethodSpread {
			continue
		}
		if second == nil {
			c.Result, c.Reason = VerdictInconclusive, "worse, but not confirmed (run the candidate again and give it with --confirm)"
			continue
		}
		if again == nil {
			p := g.policy
			p.Confirm = false
			again = Judge(baseline, *second, nil, p)
			for _, r := range again.Reasons {
				g.verdict.Reasons = append(g.verdict.Reasons, "confirming run: "+r)
			}
		}
		j := slices.IndexFunc(again.Checks, func(o Check) bool { return o.Group == c.Group && o.Metric == c.Metric })
		switch {
		case j < 0 || again.Checks[j].Result == VerdictInconclusive:
			c.Result, c.Reason = VerdictInconclusive, "worse, and the confirming run says nothing about it"
		case again.Checks[j].Result == VerdictRegression:
			c.Reason = "confirmed by the second run"
		default:
			c.Result, c.Reason = VerdictPass, "worse, but not in the confirming run"
		}
	}
}

// conclude makes one verdict of everything. What is wrong with a run outweighs
// what was found in it.
func (v *Verdict) conclude(mayBlock bool) {
	compared, blocking := false, false
	v.Verdict = VerdictPass
	for _, c := range v.Checks {
		decided := c.Result != VerdictInconclusive
		compared = compared || decided
		if c.Action != ActionBlock {
			continue
		}
		blocking = true
		switch {
		case c.Result == VerdictRegression:
			v.Verdict = VerdictRegression
		case !decided && v.Verdict == VerdictPass:
			v.Verdict = VerdictInconclusive
		}
	}
	switch {
	case len(v.Checks) == 0:
		v.Reasons = append(v.Reasons, "no metric was compared")
	case mayBlock && !blocking:
		v.Reasons = append(v.Reasons, "no metric that blocks was compared")
	case !mayBlock && !compared:
		v.Reasons = append(v.Reasons, "no metric could be judged")
	}
	if !mayBlock {
		note := "nothing here blocks: the policy only advises"
		if !results.Deterministic(v.Clock) {
			note = "nothing here blocks: a wall clock on a shared host only advises (host: dedicated in the policy changes that; --clock icount is better)"
		}
		v.Notes = append(v.Notes, note)
	}
	if len(v.Reasons) > 0 {
		v.Verdict = VerdictInconclusive
	}
}

// Failing lists the checks that made the verdict what it is.
func (v *Verdict) Failing() []Check {
	return slices.DeleteFunc(slices.Clone(v.Checks), func(c Check) bool {
		return c.Action != ActionBlock || c.Result != v.Verdict || v.Verdict == VerdictPass
	})
}
