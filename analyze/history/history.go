// SPDX-License-Identifier: Apache-2.0

package history

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// History is the course of every figure of every scenario.
type History struct {
	Runs      []Run      `json:"runs"` // in order
	Scenarios []Scenario `json:"scenarios"`
	Alpha     float64    `json:"alpha"`    // the chance of a point in a series without a change
	MinRuns   int        `json:"min_runs"` // that a series must have to be tested
	Tested    int        `json:"tested"`   // series that have as many
	Warnings  []string   `json:"warnings,omitempty"`
}

// Run is one of the runs, without its figures.
type Run struct {
	Name    string    `json:"name"` // of its directory
	Label   string    `json:"label,omitempty"`
	Started time.Time `json:"started"`
	Kernel  string    `json:"kernel"` // releases
	// Changed says what else is new since the run before: kernel, mapprof,
	// QEMU, host.
	Changed []string `json:"changed,omitempty"`
	facts   []fact
}

// Text is what the run is called: its label, or else its directory.
func (r *Run) Text() string { return safetext.Name(cmp.Or(r.Label, r.Name)) }

// Scenario is what several runs did alike: a workload with its parameters and a
// requested strategy, on the same sort of target. The kernel may differ.
type Scenario struct {
	Name   string            `json:"name"`
	Params map[string]string `json:"params"`
	Series []Series          `json:"series"`
}

// Series is one figure's course.
type Series struct {
	Figure string  `json:"figure"`
	Unit   string  `json:"unit"`
	Better string  `json:"better"`
	Values []Value `json:"values"`
	Points []Point `json:"points,omitempty"`
	// Threshold is the relative change below which there is no point.
	Threshold float64 `json:"threshold"`
	// Range is how far apart the runs of the newest level are at most, as a
	// fraction of it: what runs differ by that nothing changed. Nil: of 0.
	Range *float64 `json:"range"`
}

// Value is a run's median over its whole trials.
type Value struct {
	Run    int     `json:"run"` // index in History.Runs
	Trials int     `json:"trials"`
	Median float64 `json:"median"`
}

// Point is where a level changed.
type Point struct {
	At     int     `json:"value"` // index in Series.Values of the first of the new level
	Run    int     `json:"run"`   // that one's
	Before float64 `json:"before"`
	After  float64 `json:"after"` // medians of the levels before and after it
	// Relative is the change as a fraction of Before; nil where that is 0.
	Relative *float64 `json:"relative"`
	// P is how often runs in another order change as much.
	P      float64 `json:"p"`
	Effect string  `json:"effect"` // compare.EffectWorse or EffectBetter
}

// Changes are the points of all series by run, the newest run first.
func (h *History) Changes() []Change {
	byRun := map[int]*Change{}
	for i := range h.Scenarios {
		for j := range h.Scenarios[i].Series {
			s := &h.Scenarios[i].Series[j]
			for _, p := range s.Points {
				if byRun[p.Run] == nil {
					byRun[p.Run] = &Change{Run: p.Run}
				}
				byRun[p.Run].Figures = append(byRun[p.Run].Figures, ChangedFigure{&h.Scenarios[i], s, p})
			}
		}
	}
	var out []Change
	for _, run := range slices.Backward(slices.Sorted(maps.Keys(byRun))) {
		out = append(out, *byRun[run])
	}
	return out
}

// Change is a run at which figures changed.
type Change struct {
	Run     int // index in History.Runs
	Figures []ChangedFigure
}

// ChangedFigure is a figure with the point.
type ChangedFigure struct {
	Scenario *Scenario
	Series   *Series
	Point    Point
}

// Level is the median of the values from one to before another, by index.
func (s *Series) Level(from, to int) float64 {
	var v []float64
	for _, x := range s.Values[from:to] {
		v = append(v, x.Median)
	}
	return median.Of(v)
}

// Input is a run with its names.
type Input struct {
	Name, Label string
	Run         *results.Run
}

// Options say how to make a history.
type Options struct {
	// Threshold is the smallest relative change that counts; 0: as in a
	// comparison, by the clock.
	Threshold float64
	// Figure is the only one that the history is of; empty: it is of all.
	Figure string
	// KeepOrder leaves the runs in the order that they are given in; otherwise
	// the time of their start decides.
	KeepOrder bool
	// Labels, where there are any, name the runs one by one. OfDirs keeps their
	// order then.
	Labels []string
}

// Check says what of the options can't be for that many runs.
func (o *Options) Check(runs int) error {
	switch {
	case runs == 0:
		return errors.New("history needs run directories")
	case len(o.Labels) > 0 && len(o.Labels) != runs:
		return fmt.Errorf("%d labels for %d runs: give one for each", len(o.Labels), runs)
	case !(o.Threshold >= 0 && o.Threshold <= 10):
		return errors.New("the threshold must be from 0 to 1000 percent")
	}
	return nil
}

// Of makes the history of runs. It takes one run from next at a time, until that
// says false, and keeps no more of it than its figures.
func Of(next func() (Input, bool, error), o Options) (*History, error) {
	b := &builder{options: o, series: map[string]map[string]*Series{}, scenarios: map[string]*Scenario{}}
	for {
		in, ok, err := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if err := b.add(in); err != nil {
			return nil, fmt.Errorf("history: run %s: %w", safetext.Name(in.Name), err)
		}
	}
	return b.history(), nil
}

// OfInputs is Of of runs that are read already.
func OfInputs(inputs []Input, o Options) (*History, error) {
	return Of(func() (Input, bool, error) {
		if len(inputs) == 0 {
			return Input{}, false, nil
		}
		in := inputs[0]
		inputs = inputs[1:]
		return in, true, nil
	}, o)
}

type builder struct {
	options   Options
	runs      []Run
	keys      []string // of scenarios, in the order of their first run
	scenarios map[string]*Scenario
	series    map[string]map[string]*Series // by scenario and figure
	warnings  []string
}

func (b *builder) add(in Input) error {
	ix := len(b.runs)
	run := Run{Name: in.Name, Label: in.Label, Started: in.Run.Started, facts: factsOf(in.Run)}
	run.Kernel = run.facts[0].value
	b.runs = append(b.runs, run)
	if in.Run.Partial {
		b.warnings = append(b.warnings, run.Text()+" is partial: only its whole trials count")
	}
	if loss := results.LossText(in.Run.Loss); loss != "none" {
		b.warnings = append(b.warnings, fmt.Sprintf("%s lost events, and its figures may be off: %s", run.Text(), loss))
	}
	keys, alike := keysOf(in.Run)
	for i, key := range keys {
		s := &in.Run.Scenarios[i]
		figures, err := compare.FiguresOf(s)
		if err != nil {
			return err
		}
		if b.scenarios[key] == nil {
			b.keys = append(b.keys, key)
			b.scenarios[key] = &Scenario{Name: nameOf(in.Run, s, alike[i]), Params: s.Params}
			b.series[key] = map[string]*Series{}
		}
		clock := in.Run.Targets[s.TargetIx].Clock
		for _, f := range figures {
			if b.options.Figure != "" && f.Name != b.options.Figure {
				continue
			}
			b.figure(key, f, Value{Run: ix, Trials: len(f.Values), Median: median.Of(f.Values)}, clock)
		}
	}
	return nil
}

// figure adds one run's value to its series. One of another unit or direction
// is another figure.
func (b *builder) figure(key string, f compare.Figure, v Value, clock string) {
	id := f.Name + "\x00" + f.Unit + "\x00" + f.Better
	s := b.series[key][id]
	if s == nil {
		s = &Series{Figure: f.Name, Unit: f.Unit, Better: f.Better, Threshold: b.options.Threshold}
		if s.Threshold == 0 {
			s.Threshold = compare.DefaultWallThreshold
			if results.Deterministic(clock) {
				s.Threshold = compare.DefaultExactThreshold
			}
		}
		b.series[key][id] = s
	}
	s.Threshold = max(s.Threshold, 2*f.Coarse)
	s.Values = append(s.Values, v)
}

func (b *builder) history() *History {
	h := &History{Runs: b.runs, Alpha: Alpha, MinRuns: MinRuns, Warnings: b.warnings}
	place := b.inOrder(h)
	for _, key := range b.keys {
		sc := *b.scenarios[key]
		for _, s := range b.series[key] {
			for i := range s.Values {
				s.Values[i].Run = place[s.Values[i].Run]
			}
			slices.SortFunc(s.Values, func(a, b Value) int { return a.Run - b.Run })
			if len(s.Values) >= MinRuns {
				h.Tested++
			}
			s.findPoints()
			s.measureRange()
			sc.Series = append(sc.Series, *s)
		}
		slices.SortFunc(sc.Series, func(a, b Series) int {
			return cmp.Or(compare.Order(a.Figure, b.Figure), cmp.Compare(a.Unit, b.Unit))
		})
		h.Scenarios = append(h.Scenarios, sc)
	}
	distinguish(h.Scenarios)
	for i := range h.Scenarios {
		h.warnAbsent(&h.Scenarios[i])
	}
	return h
}

// inOrder puts the runs in order, and says where each has come to.
func (b *builder) inOrder(h *History) []int {
	at := make([]int, len(h.Runs))
	for i := range at {
		at[i] = i
	}
	if !b.options.KeepOrder {
		slices.SortStableFunc(at, func(x, y int) int { return b.runs[x].Started.Compare(b.runs[y].Started) })
	}
	place := make([]int, len(at))
	h.Runs = make([]Run, len(at))
	for to, from := range at {
		place[from], h.Runs[to] = to, b.runs[from]
		if to > 0 {
			h.Runs[to].Changed = changes(h.Runs[to-1].facts, h.Runs[to].facts)
		}
	}
	return place
}

// warnAbsent tells of what has gone: figures that the newest run of the scenario
// hasn't got, and the scenario where more runs than ever before lack it. Runs of
// several scenarios may take turns.
func (h *History) warnAbsent(sc *Scenario) {
	has := make([]bool, len(h.Runs))
	newest := -1
	for _, s := range sc.Series {
		for _, v := range s.Values {
			has[v.Run] = true
			newest = max(newest, v.Run)
		}
	}
	for _, s := range sc.Series {
		if last := s.Values[len(s.Values)-1].Run; last < newest {
			h.Warnings = append(h.Warnings, fmt.Sprintf("%s: %s is absent since %s", sc.Name, safetext.Name(s.Figure), h.Runs[last+1].Text()))
		}
	}
	apart, last := 0, -1
	for i, ok := range has {
		if ok && last >= 0 {
			apart = max(apart, i-last)
		}
		if ok {
			last = i
		}
	}
	if apart > 0 && len(h.Runs)-newest > apart {
		h.Warnings = append(h.Warnings, fmt.Sprintf("%s is absent since %s", sc.Name, h.Runs[newest+1].Text()))
	}
}

// measureRange sets Range.
func (s *Series) measureRange() {
	from := 0
	if n := len(s.Points); n > 0 {
		from = s.Points[n-1].At
	}
	byMedian := func(a, b Value) int { return cmp.Compare(a.Median, b.Median) }
	least, most := slices.MinFunc(s.Values[from:], byMedian), slices.MaxFunc(s.Values[from:], byMedian)
	if level := math.Abs(s.Level(from, len(s.Values))); level > 0 {
		apart := (most.Median - least.Median) / level
		s.Range = &apart
	}
}

// findPoints finds where the series changes by its threshold or more.
func (s *Series) findPoints() {
	values := make([]float64, len(s.Values))
	for i, v := range s.Values {
		values[i] = v.Median
	}
	found := splits(values)
	for {
		s.Points = s.points(found)
		smallest, size := -1, s.Threshold
		for i, p := range s.Points {
			if p.Relative != nil && math.Abs(*p.Relative) < size || p.Before == p.After {
				smallest, size = i, math.Abs(p.After-p.Before)
				if p.Relative != nil {
					size = math.Abs(*p.Relative)
				}
			}
		}
		if smallest < 0 {
			return
		}
		// Without it, the levels on both sides are one.
		found = slices.Delete(found, smallest, smallest+1)
	}
}

func (s *Series) points(found []split) []Point {
	var out []Point
	for i, f := range found {
		from, to := 0, len(s.Values)
		if i > 0 {
			from = found[i-1].at
		}
		if i+1 < len(found) {
			to = found[i+1].at
		}
		p := Point{At: f.at, Run: s.Values[f.at].Run, Before: s.Level(from, f.at), After: s.Level(f.at, to), P: f.p, Effect: compare.EffectBetter}
		if p.Before != 0 {
			relative := (p.After - p.Before) / math.Abs(p.Before)
			p.Relative = &relative
		}
		if (p.After > p.Before) == (s.Better == compare.BetterLower) {
			p.Effect = compare.EffectWorse
		}
		out = append(out, p)
	}
	return out
}
