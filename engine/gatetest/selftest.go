// SPDX-License-Identifier: Apache-2.0

package gatetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/analyze/gate"
	"github.com/mapprof/mapprof/analyze/gate/selftest"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
)

// What is planted: the smallest change that the gate must see, as a factor on
// figures, and the two slowdowns of a real kernel, which its ticks round up to
// whole ones.
const (
	plantedChange   = 0.01
	syntheticSpread = 0.0002 // what a deterministic clock is known to repeat to, doubled
)

// selfTestWorkload is a workload, with a strategy, that real pairs are run of.
type selfTestWorkload struct {
	name     string
	workload string
	strategy string
	params   func(count int) map[string]string
	kinds    []plantedKind
}

// plantedKind is a kind of candidates; the first of a workload is unchanged.
type plantedKind struct {
	name  string
	want  string
	plant func(base *results.Run) map[string]string // the parameters that plant it; nil: nothing is
	// strategy is what is planted instead: deaths go another way than they are
	// said to.
	strategy string
}

// unchanged says that nothing is planted.
func (k *plantedKind) unchanged() bool { return k.plant == nil && k.strategy == "" }

func plant(name, value string) func(*results.Run) map[string]string {
	return func(*results.Run) map[string]string { return map[string]string{name: value} }
}

// Workloads names the workloads that real pairs are run of.
func Workloads() []string {
	var names []string
	for _, w := range selfTestWorkloads {
		names = append(names, w.name)
	}
	return names
}

var selfTestWorkloads = []selfTestWorkload{
	{
		name: "churn", workload: "churn", strategy: results.StrategyRCU,
		params: churnParams,
		kinds: []plantedKind{
			{name: "churn, unchanged", want: gate.VerdictPass},
			{name: "churn, delay in the workload", want: gate.VerdictRegression, plant: plant("inject-delay", "4000000")},
			{name: "churn, every 50th operation slower", want: gate.VerdictRegression, plant: plant("inject-delay", "8000000/50")},
			{name: "churn, longer-held reader", want: gate.VerdictRegression, plant: plant("inject-reader", "24")},
			{name: "churn, bigger inner maps", want: gate.VerdictRegression, plant: plant("inner-entries", "32")},
			{name: "churn, another path of deaths", want: gate.VerdictInconclusive, strategy: results.StrategyImmediate},
		},
	},
	{
		name: "tasks-trace", workload: "churn", strategy: results.StrategyTasksTrace,
		params: churnParams,
		kinds: []plantedKind{
			{name: "tasks-trace, unchanged", want: gate.VerdictPass},
			{name: "tasks-trace, longer-held reader", want: gate.VerdictRegression, plant: plant("inject-reader", "24")},
		},
	},
	{
		name: "lookup", workload: "lookup", strategy: results.StrategyNone,
		params: func(int) map[string]string { return map[string]string{"path": "syscall,helper", "count": "20480"} },
		kinds: []plantedKind{
			{name: "lookup, unchanged", want: gate.VerdictPass},
			{name: "lookup, +1 % instructions", want: gate.VerdictRegression, plant: plantInLookups},
		},
	},
}

func churnParams(count int) map[string]string { return map[string]string{"count": fmt.Sprint(count)} }

// expeditedRate is of churn where updates wait for an expedited grace period (since 6.19):
// a closed loop there is over after three ticks, and its figures are how those fell. The
// operations of this rate meet all moments of a tick.
const expeditedRate = "44.3"

// plantInLookups makes every lookup longer by the planted share of what the
// baseline's take.
func plantInLookups(base *results.Run) map[string]string {
	var parts []string
	for _, path := range []string{"syscall", "helper"} {
		cost := base.Scenarios[0].Metrics["lookup."+path].P50
		parts = append(parts, fmt.Sprintf("%s=%g", path, cost*plantedChange))
	}
	return map[string]string{"inject-instructions": strings.Join(parts, ",")}
}

// plantedFlags make runs incomparable, which must not be how the gate finds
// out.
var plantedFlags = []string{"inject-delay", "inject-reader", "inject-instructions", "inner-entries"}

// Run is one run of a self-test, on the deterministic clock.
type Run struct {
	Workload, Strategy string
	Params             map[string]string // the workload's
	Planted            map[string]string // those of them that make it slower
	Trials             int
	Seed               uint64
	Dir                string // to create
}

// SelfTest proves the gate where it runs: unchanged pairs of runs must pass,
// planted slowdowns must fail, and a run of which a part is missing must be
// inconclusive.
type SelfTest struct {
	Workloads []string // of SelfTestWorkloads
	Pairs     int      // of real runs, of each kind; at least, where there is a Time
	// Time is for more pairs: none begins that would end after it, if it took
	// as long as those before.
	Time      time.Duration
	Trials    int // on each side of a pair
	Count     int // operations in a trial of churn
	Synthetic int // pairs of each kind that are made up or drawn from real trials
	Jobs      int // runs at a time
	Policy    gate.Policy
	Dir       string // an existing directory for the runs
	// Run makes a real run; nil: only made-up pairs, which prove the arithmetic
	// and not this machine. Called from several goroutines.
	Run func(ctx context.Context, r Run) error
	// OnPair is told of progress, OnWrongVerdict of each verdict that is not
	// the one that is wanted. Called from one goroutine at a time.
	OnPair         func(done int, workload string)
	OnWrongVerdict func(kind string, v *gate.Verdict)

	expedited atomic.Bool               // updates don't wait for ticks
	mu        sync.Mutex                // of what follows
	unchanged map[string]*results.Run   // by workload: the trials of all runs in which nothing is planted
	rates     map[string]*selftest.Rate // of the real pairs, by kind
	first     map[string]string         // by workload: a run that is as it should be
	done      int                       // pairs
}

// Check validates the sizes, by the names of mapprof gate's flags.
func (s *SelfTest) Check() error {
	switch {
	case s.Pairs < 1 || s.Pairs > 1000:
		return errors.New("--pairs must be from 1 to 1000")
	case s.Trials < 2 || s.Trials > 1000:
		return errors.New("--trials must be from 2 to 1000")
	case s.Count < 10 || s.Count > 1e6:
		return errors.New("--count must be from 10 to 1000000")
	case s.Synthetic < 1 || s.Synthetic > 100000:
		return errors.New("--synthetic must be from 1 to 100000")
	case s.Time < 0:
		return errors.New("--minutes must not be less than 0")
	case s.Jobs < 1 || s.Jobs > 1000:
		return errors.New("--jobs must be from 1 to 1000")
	case len(s.Workloads) == 0:
		return errors.New("--workloads names none")
	}
	for i, name := range s.Workloads {
		if !slices.Contains(Workloads(), name) {
			return flagvalue.OneOf("workloads", name, Workloads()...)
		}
		if slices.Contains(s.Workloads[:i], name) {
			return fmt.Errorf("--workloads names %s twice", name)
		}
	}
	return nil
}

// Do does everything, and returns what it measured until an error.
func (s *SelfTest) Do(ctx context.Context) ([]selftest.Rate, error) {
	n, trials := s.Synthetic, s.Trials
	rates := []selftest.Rate{
		selftest.SyntheticRate(n, trials, syntheticSpread, 0, s.Policy, 1),
		selftest.SyntheticRate(n, trials, syntheticSpread, plantedChange, s.Policy, 2),
	}
	if s.Run == nil {
		incomplete, err := s.incompleteRuns()
		return append(rates, incomplete...), err
	}
	s.unchanged, s.rates, s.first = map[string]*results.Run{}, map[string]*selftest.Rate{}, map[string]string{}
	failure := s.realPairs(ctx)
	for _, w := range selfTestWorkloads {
		for _, kind := range w.kinds {
			if r := s.rates[kind.name]; r != nil {
				rates = append(rates, *r)
			}
		}
	}
	if failure != nil {
		return rates, fmt.Errorf("self-test: %w", failure)
	}
	for _, more := range []func() ([]selftest.Rate, error){s.resample, s.incompleteRuns} {
		r, err := more()
		rates = append(rates, r...)
		if err != nil {
			return rates, err
		}
	}
	return rates, nil
}

// realPairs runs --jobs pairs at a time.
func (s *SelfTest) realPairs(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, s.Jobs)
	var wg sync.WaitGroup
	began := time.Now()
	for pair := 0; ctx.Err() == nil; pair++ {
		if pair >= s.Pairs {
			wg.Wait()
			if took := time.Since(began); took+took/time.Duration(pair) > s.Time {
				break
			}
		}
		for i := range selfTestWorkloads {
			w := &selfTestWorkloads[i]
			if !slices.Contains(s.Workloads, w.name) {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if ctx.Err() != nil {
					return
				}
				if err := s.realPair(ctx, w, pair); err != nil {
					cancel(err)
				}
			})
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

// realPair holds a candidate of every kind against one baseline. Each run has a
// seed of its own: a pair that met the same ticks would be too equal.
func (s *SelfTest) realPair(ctx context.Context, w *selfTestWorkload, pair int) error {
	seed := uint64(pair)*uint64(len(w.kinds)+1) + 1
	base, run, err := s.baseline(ctx, w, pair, seed)
	if err != nil {
		return err
	}
	for i, kind := range w.kinds {
		dir := filepath.Join(s.Dir, fmt.Sprintf("%s-pair%d-candidate%d", w.name, pair+1, i))
		var planted map[string]string
		if kind.plant != nil {
			planted = kind.plant(run)
		}
		if err := s.make(ctx, w, seed+uint64(i)+1, dir, cmp.Or(kind.strategy, w.strategy), planted); err != nil {
			return err
		}
		if kind.unchanged() {
			if _, err := s.keep(w, dir); err != nil {
				return err
			}
		}
		v, err := s.judge(base, dir)
		if err != nil {
			return err
		}
		s.count(kind, v)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	s.OnPair(s.done, w.name)
	return nil
}

// baseline makes and keeps the run that the candidates of a pair are held against.
func (s *SelfTest) baseline(ctx context.Context, w *selfTestWorkload, pair int, seed uint64) (dir string, run *results.Run, err error) {
	dir = filepath.Join(s.Dir, fmt.Sprintf("%s-pair%d-baseline", w.name, pair+1))
	atRate := s.expedited.Load()
	if err := s.make(ctx, w, seed, dir, w.strategy, nil); err != nil {
		return dir, nil, err
	}
	d, err := results.Open(dir)
	if err != nil {
		return dir, nil, err
	}
	expedited := func(t results.Trial) bool { return t.Expedited > 0 }
	if !atRate && w.workload == "churn" && slices.ContainsFunc(d.Run.Scenarios[0].Trials, expedited) {
		s.expedited.Store(true)
		dir += "-at-rate"
		if err := s.make(ctx, w, seed, dir, w.strategy, nil); err != nil {
			return dir, nil, err
		}
	}
	run, err = s.keep(w, dir)
	return dir, run, err
}

// make makes one real run.
func (s *SelfTest) make(ctx context.Context, w *selfTestWorkload, seed uint64, dir, strategy string, planted map[string]string) error {
	count, rate := s.Count, ""
	if w.workload == "churn" && s.expedited.Load() {
		count, rate = 2*s.Count, expeditedRate
	}
	params := w.params(count)
	if rate != "" {
		params["rate"] = rate
	}
	maps.Copy(params, planted)
	return s.Run(ctx, Run{Workload: w.workload, Strategy: strategy, Params: params, Planted: planted, Trials: s.Trials, Seed: seed, Dir: dir})
}

// count adds a verdict to its kind, and shows one that is wrong.
func (s *SelfTest) count(kind plantedKind, v *gate.Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rates[kind.name] == nil {
		s.rates[kind.name] = &selftest.Rate{Kind: kind.name, Source: selftest.SourceReal, Want: kind.want,
			Note: fmt.Sprintf("%d boots a side", s.Trials)}
	}
	s.rates[kind.name].Count(v)
	if v.Verdict != kind.want {
		s.OnWrongVerdict(kind.name, v)
	}
}

// judge gates two runs as if nothing had been planted: the parameter or the
// strategy that plants it would make them not comparable.
func (s *SelfTest) judge(base, candidate string) (*gate.Verdict, error) {
	_, inputs, err := compare.Open([]string{base, candidate})
	if err != nil {
		return nil, err
	}
	for _, in := range inputs {
		for i := range in.Run.Scenarios {
			in.Run.Scenarios[i].Strategy.Requested = inputs[0].Run.Scenarios[i].Strategy.Requested
			for _, name := range plantedFlags {
				delete(in.Run.Scenarios[i].Params, name)
			}
		}
	}
	return gate.Judge(inputs[0], inputs[1], nil, s.Policy), nil
}

// keep adds an unchanged run's trials to its workload's pool.
func (s *SelfTest) keep(w *selfTestWorkload, dir string) (*results.Run, error) {
	d, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first[w.name] == "" {
		s.first[w.name] = dir
	}
	pool := s.unchanged[w.name]
	if pool == nil {
		s.unchanged[w.name] = d.Run
		return d.Run, nil
	}
	for i := range d.Run.Scenarios {
		if have := pool.Find(d.Run.Scenarios[i].ID); have != nil {
			have.Trials = append(have.Trials, d.Run.Scenarios[i].Trials...)
		}
	}
	return d.Run, nil
}

func (s *SelfTest) resample() (rates []selftest.Rate, err error) {
	for _, w := range selfTestWorkloads {
		if s.unchanged[w.name] == nil {
			continue
		}
		changes := []float64{0}
		if least := selftest.LeastSeen(s.unchanged[w.name], s.Trials, s.Policy, 3); least > 0 {
			changes = append(changes, least)
		}
		for _, change := range changes {
			r, err := selftest.ResampledRate(s.unchanged[w.name], s.Synthetic, s.Trials, change, s.Policy, 3)
			if err != nil {
				return rates, err
			}
			r.Kind = w.name + ", " + r.Kind
			rates = append(rates, r)
		}
	}
	return rates, nil
}
