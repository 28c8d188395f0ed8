// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// Directions of a metric.
const (
	BetterLower  = "lower"
	BetterHigher = "higher"
)

// Units of figures beside those that metrics bring along.
const (
	UnitNS          = "ns"
	UnitBytes       = "bytes"
	UnitByteSeconds = "byte_seconds"
	UnitOpsPerS     = "ops/s"
	UnitPerOp       = "deaths/op"
)

// Figure is one metric of a scenario: a value for every trial that has it.
type Figure struct {
	Name   string // phase/p50, limbo/peak_bytes, METRIC/mean
	Unit   string
	Better string
	// Coarse is the relative width of the steps in which values of this
	// figure come: those of a quantile are a histogram's buckets, those of
	// the peak of memory in limbo are maps.
	Coarse float64
	// Samples is of how many values the figure is in a trial, in the one that
	// has the fewest; 0: it is of the trial as a whole.
	Samples uint64
	Values  []float64
	// signed figures may be negative: they are differences.
	signed bool
	// trials are the indexes of the trials that the values are of.
	TrialIndexes []int
}

// phaseBucketWidth is how coarse the quantiles of phases are.
var phaseBucketWidth = analyze.BucketWidth(results.HistogramDigits)

// Figures of a trial as a whole: no phase or metric has them. Operations a
// second are of closed loops; an open one's rate is asked for. They and deaths
// for each operation are of workloads that time operations.
const (
	FigurePeakBytes           = "limbo/peak_bytes"
	FigureByteSeconds         = "limbo/byte_seconds"
	FigureByteSecondsPerDeath = "limbo/byte_seconds_per_death"
	FigureOpsPerS             = "throughput/ops_per_s"
	FigureDeathsPerOp         = "throughput/deaths_per_op"
)

// InvalidError is returned for a run whose figures can't be figures.
type InvalidError struct {
	Scenario string
	Trial    int
	What     string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("scenario %s trial %d: %s", safetext.Name(e.Scenario), e.Trial, e.What)
}

// WholeTrials returns the trials that count: partial ones measured something
// else than the others.
func WholeTrials(s *results.Scenario) []results.Trial {
	return slices.DeleteFunc(slices.Clone(s.Trials), func(t results.Trial) bool { return t.Partial })
}

// FiguresOf returns every figure that at least one whole trial of s has:
// phases in table order, memory in limbo, then the rest by name. A value that
// isn't finite, or a phase's or memory's that is negative, is an error.
func FiguresOf(s *results.Scenario) ([]Figure, error) {
	c := &figureCollector{scenario: s.ID, index: map[string]int{}}
	for _, t := range WholeTrials(s) {
		c.trial = t.Index
		for _, phase := range phaseNames(t.Phases) {
			c.phase(phase, t.Phases[phase])
		}
		if t.Limbo != (results.Limbo{}) {
			// Whether two deaths overlap for a moment is the tick's doing.
			c.add(Figure{Name: FigurePeakBytes, Unit: UnitBytes, Coarse: 1 / float64(max(1, t.Limbo.PeakMaps))}, float64(t.Limbo.PeakBytes))
			c.add(Figure{Name: FigureByteSeconds, Unit: UnitByteSeconds}, t.Limbo.ByteSeconds)
			if t.Puts > 0 {
				c.add(Figure{Name: FigureByteSecondsPerDeath, Unit: UnitByteSeconds}, t.Limbo.ByteSeconds/float64(t.Puts))
			}
		}
		c.throughput(s.Loop, &t)
		for name, m := range t.Metrics {
			c.metric(name, m)
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	slices.SortStableFunc(c.figures, func(a, b Figure) int { return Order(a.Name, b.Name) })
	return c.figures, nil
}

// Order compares the names of two figures by their places in a table.
func Order(a, b string) int {
	return cmp.Or(cmp.Compare(figureRank(a), figureRank(b)), strings.Compare(path.Dir(a), path.Dir(b)),
		cmp.Compare(statisticRank(a), statisticRank(b)), strings.Compare(a, b))
}

// throughput is of workloads whose trial is one operation after the other: others
// also set up and tear down in the time that they take.
func (c *figureCollector) throughput(loop string, t *results.Trial) {
	if t.Phases[results.PhaseOp].N == 0 || t.Ops == 0 {
		return
	}
	if loop == results.LoopClosed && t.DurationNS > 0 {
		c.add(Figure{Name: FigureOpsPerS, Unit: UnitOpsPerS, Better: BetterHigher}, float64(t.Ops)/(float64(t.DurationNS)/1e9))
	}
	if t.Puts > 0 {
		c.add(Figure{Name: FigureDeathsPerOp, Unit: UnitPerOp}, float64(t.Puts)/float64(t.Ops))
	}
}

func phaseNames(phases map[string]results.Stats) []string {
	names := make([]string, 0, len(phases))
	for name := range phases {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// figureRank orders by phase; what isn't of a phase comes last.
func figureRank(name string) int {
	phase, _, _ := strings.Cut(name, "/")
	if i := results.PhaseIndex(phase); i >= 0 {
		return i
	}
	return math.MaxInt
}

// statisticRank orders what there is of one phase or metric.
func statisticRank(name string) int {
	order := []string{"p50", "mean", "p90", "p99", "max"}
	if i := slices.Index(order, path.Base(name)); i >= 0 {
		return i
	}
	return len(order)
}

type figureCollector struct {
	scenario string
	trial    int
	figures  []Figure
	index    map[string]int
	err      error
}

func (c *figureCollector) fail(format string, args ...any) {
	if c.err == nil {
		c.err = &InvalidError{c.scenario, c.trial, fmt.Sprintf(format, args...)}
	}
}

func (c *figureCollector) phase(phase string, s results.Stats) {
	if s.N == 0 {
		return // no data is not zero
	}
	if s.MinNS > s.P50NS || s.P50NS > s.P90NS || s.P90NS > s.P99NS || s.P99NS > s.MaxNS {
		c.fail("quantiles of phase %s are not in order", safetext.Name(phase))
	}
	for _, q := range []struct {
		name string
		ns   int64
	}{{"p50", s.P50NS}, {"p90", s.P90NS}, {"p99", s.P99NS}} {
		c.add(Figure{Name: phase + "/" + q.name, Unit: UnitNS, Samples: s.N, Coarse: coarse(float64(q.ns), phaseBucketWidth)}, float64(q.ns))
	}
	if !Finite(s.MeanNS) {
		c.fail("the mean of phase %s is not a number", safetext.Name(phase))
	}
	if s.MeanNS < float64(s.MinNS) || s.MeanNS > float64(s.MaxNS) {
		c.fail("the mean of phase %s is not between its minimum and maximum", safetext.Name(phase))
	}
	c.add(Figure{Name: phase + "/mean", Unit: UnitNS, Samples: s.N}, s.MeanNS)
	c.add(Figure{Name: phase + "/max", Unit: UnitNS, Samples: s.N}, float64(s.MaxNS))
}

func (c *figureCollector) metric(name string, m results.Metric) {
	if m.N == 0 {
		return
	}
	if _, isPhase := results.PhaseNamed(name); isPhase {
		c.fail("metric %s has the name of a phase", name)
		return
	}
	better := BetterLower
	switch m.Better {
	case "", BetterLower:
	case BetterHigher:
		better = BetterHigher
	default:
		c.fail("metric %s is better %q", safetext.Name(name), safetext.Name(m.Better))
	}
	if !(m.BucketWidth >= 0 && m.BucketWidth < 1) {
		c.fail("metric %s has buckets of width %v", safetext.Name(name), m.BucketWidth)
	}
	for _, q := range []struct {
		name         string
		value, width float64
	}{{"mean", m.Mean, 0}, {"p50", m.P50, m.BucketWidth}, {"p90", m.P90, m.BucketWidth}, {"p99", m.P99, m.BucketWidth}, {"max", m.Max, 0}} {
		if q.value == 0 && m.Min > 0 { // left out of run.json: no data is not zero
			c.fail("%s of metric %s is 0, and its minimum %v", q.name, safetext.Name(name), m.Min)
		}
		c.add(Figure{Name: name + "/" + q.name, Unit: m.Unit, Better: better, Samples: m.N, Coarse: coarse(q.value, q.width), signed: m.Difference}, q.value)
	}
}

// coarse is how coarse a quantile is in a histogram whose buckets have that
// relative width at the most: its first 2/width values have one each.
func coarse(value, width float64) float64 {
	if value*width < 2 {
		return 0
	}
	return width
}

func (c *figureCollector) add(f Figure, value float64) {
	if !Finite(value) || value < 0 && !f.signed {
		c.fail("%s is %v", safetext.Name(f.Name), value)
		return
	}
	if f.Better == "" {
		f.Better = BetterLower
	}
	i, ok := c.index[f.Name]
	if !ok {
		i = len(c.figures)
		c.index[f.Name] = i
		c.figures = append(c.figures, f)
	}
	have := &c.figures[i]
	if have.Unit != f.Unit || have.Better != f.Better {
		c.fail("%s has another unit or direction than in an earlier trial", safetext.Name(f.Name))
		return
	}
	have.signed = have.signed || f.signed
	have.Coarse, have.Samples = max(have.Coarse, f.Coarse), min(have.Samples, f.Samples)
	have.Values = append(have.Values, value)
	have.TrialIndexes = append(have.TrialIndexes, c.trial)
}

func Finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
