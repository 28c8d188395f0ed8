// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/report"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/workloads"
)

// selfTestFlags are those of mapprof gate --self-test.
type selfTestFlags struct {
	kernel        string
	workloads     []string
	pairs, trials int
	count         int
	synthetic     int
	jobs          int
	noVM, offline bool
	keep          string
	timeout       time.Duration
}

// selfTestFlagNames mean nothing without --self-test.
var selfTestFlagNames = []string{"kernel", "workloads", "pairs", "trials", "count", "synthetic", "jobs", "no-vm", "offline", "keep", "timeout"}

func (f *selfTestFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.kernel, "kernel", defaultKernel, "--self-test: kernel to boot")
	fs.StringSliceVar(&f.workloads, "workloads", []string{"churn", "lookup"}, "--self-test: what to run: churn,lookup")
	fs.IntVar(&f.pairs, "pairs", 1, "--self-test: pairs of real runs of each kind; each costs four times --trials boots of churn and three times of lookup")
	fs.IntVar(&f.trials, "trials", 3, "--self-test: trials on each side of a pair")
	fs.IntVar(&f.count, "count", 60, "--self-test: operations in a trial of churn")
	fs.IntVar(&f.synthetic, "synthetic", 200, "--self-test: pairs of each kind that are made up or drawn from real trials")
	fs.IntVar(&f.jobs, "jobs", min(4, runtime.NumCPU()), "--self-test: VMs at a time; the deterministic clock doesn't mind")
	fs.BoolVar(&f.noVM, "no-vm", false, "--self-test: only made-up pairs; then it proves the arithmetic and not this machine")
	fs.BoolVar(&f.offline, "offline", false, "--self-test: never use the network: only cached kernels")
	fs.StringVar(&f.keep, "keep", "", "--self-test: keep the runs in this new directory")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Minute, "--self-test: limit on one boot of the VM")
}

func (f *selfTestFlags) check() error {
	switch {
	case f.pairs < 1 || f.pairs > 1000:
		return &usageError{errors.New("--pairs must be from 1 to 1000")}
	case f.trials < 2 || f.trials > 1000:
		return &usageError{errors.New("--trials must be from 2 to 1000")}
	case f.count < 10 || f.count > 1e6:
		return &usageError{errors.New("--count must be from 10 to 1000000")}
	case f.synthetic < 1 || f.synthetic > 100000:
		return &usageError{errors.New("--synthetic must be from 1 to 100000")}
	case f.jobs < 1 || f.jobs > 1000:
		return &usageError{errors.New("--jobs must be from 1 to 1000")}
	case len(f.workloads) == 0:
		return &usageError{errors.New("--workloads names none")}
	case f.timeout <= 0:
		return &usageError{errors.New("--timeout must be more than 0")}
	}
	for i, name := range f.workloads {
		if !slices.ContainsFunc(selfTestWorkloads, func(w selfTestWorkload) bool { return w.name == name }) {
			return &usageError{fmt.Errorf("--workloads: %q is not one of churn, lookup", name)}
		}
		if slices.Contains(f.workloads[:i], name) {
			return &usageError{fmt.Errorf("--workloads names %s twice", name)}
		}
	}
	return nil
}

// What is planted: the smallest change that the gate must see, as a factor on
// figures, and the two slowdowns of a real kernel, which its ticks round up to
// whole ones.
const (
	plantedChange   = 0.01
	syntheticSpread = 0.0002 // what a deterministic clock is known to repeat to, doubled
)

// selfTestWorkload is a workload that real pairs are run of.
type selfTestWorkload struct {
	name     string
	strategy string
	args     func(*selfTestFlags) []string
	kinds    []plantedKind
}

// plantedKind is a kind of candidates; the first of a workload is unchanged.
type plantedKind struct {
	name  string
	want  string
	plant func(base *results.Run) []string // the flags that plant it; nil: nothing is
}

func plantArgs(args ...string) func(*results.Run) []string {
	return func(*results.Run) []string { return args }
}

var selfTestWorkloads = []selfTestWorkload{
	{
		name: "churn", strategy: workloads.StrategyRCU,
		args: func(f *selfTestFlags) []string { return []string{fmt.Sprintf("--count=%d", f.count)} },
		kinds: []plantedKind{
			{"churn, unchanged", analyze.VerdictPass, nil},
			{"churn, delay in the workload", analyze.VerdictRegression, plantArgs("--inject-delay=8000000")},
			{"churn, longer-held reader", analyze.VerdictRegression, plantArgs("--inject-reader=24")},
		},
	},
	{
		name: "lookup", strategy: workloads.StrategyNone,
		args: func(*selfTestFlags) []string { return []string{"--path=syscall,helper", "--count=20480"} },
		kinds: []plantedKind{
			{"lookup, unchanged", analyze.VerdictPass, nil},
			{"lookup, +1 % instructions", analyze.VerdictRegression, plantInLookups},
		},
	},
}

// plantInLookups makes every lookup longer by the planted share of what the
// baseline's take.
func plantInLookups(base *results.Run) []string {
	var parts []string
	for _, path := range []string{"syscall", "helper"} {
		cost := base.Scenarios[0].Metrics["lookup."+path].P50
		parts = append(parts, fmt.Sprintf("%s=%g", path, cost*plantedChange))
	}
	return []string{"--inject-instructions=" + strings.Join(parts, ",")}
}

// plantedFlags make runs incomparable, which must not be how the gate finds
// out.
var plantedFlags = []string{"inject-delay", "inject-reader", "inject-instructions"}

// realRun makes one run of a self-test in a new directory.
type realRun func(ctx context.Context, w *selfTestWorkload, seed uint64, dir string, planted []string) error

// selfTest is a self-test under way.
type selfTest struct {
	flags  *selfTestFlags
	policy analyze.Policy
	real   realRun
	dir    string
	log    io.Writer

	mu    sync.Mutex                   // of what follows
	pools map[string]*results.Run      // by workload: the trials of all runs in which nothing is planted
	rates map[string]*analyze.GateRate // of the real pairs, by kind
	first map[string]string            // by workload: a run that is as it should be
	done  int                          // pairs
}

func runSelfTest(cmd *cobra.Command, flags *selfTestFlags, policy analyze.Policy, format string) error {
	ctx, intr, cancel := withInterrupt(cmd.Context())
	defer cancel()
	dir := flags.keep
	if dir == "" {
		tmp, err := os.MkdirTemp("", "mapprof-self-test-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	} else if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("keep the runs: %w", err)
	}
	s := &selfTest{flags: flags, policy: policy, dir: dir, log: cmd.ErrOrStderr()}
	s.real = func(ctx context.Context, w *selfTestWorkload, seed uint64, dir string, planted []string) error {
		return flags.boot(ctx, intr, w, seed, dir, planted)
	}
	// An interrupt ends what boots.
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-intr.stop:
			stop()
		case <-runCtx.Done():
		}
	}()
	rates, failure := s.run(runCtx)
	if err := printSelfTest(cmd, rates, failure, flags, format); err != nil {
		return err
	}
	if failure != nil {
		return &exitError{code: exitInconclusive, err: failure}
	}
	for i := range rates {
		if rates[i].Hits() != rates[i].Pairs {
			return &exitError{code: exitFailure, err: errors.New("self-test: the gate did not say what it should have")}
		}
	}
	return nil
}

// boot does --trials boots on the deterministic clock.
func (f *selfTestFlags) boot(ctx context.Context, intr interrupt, w *selfTestWorkload, seed uint64, dir string, planted []string) error {
	flags := &runFlags{workload: w.name, strategies: []string{w.strategy}, trials: f.trials, seed: seed, out: dir, noDeaths: true,
		ring: 4 << 20, inFlight: 65536, drain: 30 * time.Second}
	flags.targetFlags = targetFlags{target: targetVM, kernels: []string{f.kernel}, clock: target.ClockICount, offline: f.offline, timeout: f.timeout}
	kernels, err := flags.resolve(ctx, io.Discard)
	if err != nil {
		return err
	}
	r, err := newRunner(flags, append(w.args(f), planted...), intr)
	if err != nil {
		return err
	}
	defer r.close()
	r.progress = noProgress{}
	_, err = r.run(ctx, kernels)
	return err
}

// run does everything, and returns what it measured until an error.
func (s *selfTest) run(ctx context.Context) ([]analyze.GateRate, error) {
	n, trials := s.flags.synthetic, s.flags.trials
	rates := []analyze.GateRate{
		analyze.SyntheticGateRate(n, trials, syntheticSpread, 0, s.policy, 1),
		analyze.SyntheticGateRate(n, trials, syntheticSpread, plantedChange, s.policy, 2),
	}
	if s.flags.noVM {
		cuts, err := s.cuts()
		return append(rates, cuts...), err
	}
	s.pools, s.rates, s.first = map[string]*results.Run{}, map[string]*analyze.GateRate{}, map[string]string{}
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
	for _, more := range []func() ([]analyze.GateRate, error){s.resample, s.cuts} {
		r, err := more()
		rates = append(rates, r...)
		if err != nil {
			return rates, err
		}
	}
	return rates, nil
}

// realPairs runs --jobs pairs at a time.
func (s *selfTest) realPairs(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, s.flags.jobs)
	var wg sync.WaitGroup
	for pair := range s.flags.pairs {
		for i := range selfTestWorkloads {
			w := &selfTestWorkloads[i]
			if !slices.Contains(s.flags.workloads, w.name) {
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
func (s *selfTest) realPair(ctx context.Context, w *selfTestWorkload, pair int) error {
	seed := uint64(pair)*uint64(len(w.kinds)+1) + 1
	base := filepath.Join(s.dir, fmt.Sprintf("%s-pair%d-baseline", w.name, pair+1))
	if err := s.real(ctx, w, seed, base, nil); err != nil {
		return err
	}
	run, err := s.keep(w, base)
	if err != nil {
		return err
	}
	for i, kind := range w.kinds {
		dir := filepath.Join(s.dir, fmt.Sprintf("%s-pair%d-candidate%d", w.name, pair+1, i))
		var planted []string
		if kind.plant != nil {
			planted = kind.plant(run)
		}
		if err := s.real(ctx, w, seed+uint64(i)+1, dir, planted); err != nil {
			return err
		}
		if kind.plant == nil {
			if _, err := s.keep(w, dir); err != nil {
				return err
			}
		}
		v, err := s.judge(base, dir)
		if err != nil {
			return err
		}
		if err := s.count(kind, v); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	fmt.Fprintf(s.log, "self-test: %d of %d groups of pairs done (%s)\n", s.done, s.flags.pairs*len(s.flags.workloads), w.name)
	return nil
}

// count adds a verdict to its kind, and shows one that is wrong.
func (s *selfTest) count(kind plantedKind, v *analyze.Verdict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rates[kind.name] == nil {
		s.rates[kind.name] = &analyze.GateRate{Kind: kind.name, Source: analyze.SourceReal, Want: kind.want,
			Note: fmt.Sprintf("%d boots a side", s.flags.trials)}
	}
	s.rates[kind.name].Count(v)
	if v.Verdict == kind.want {
		return nil
	}
	fmt.Fprintf(s.log, "%s:\n", kind.name)
	return printVerdict(s.log, v, "table")
}

// judge gates two runs as if nothing had been planted: the parameter that
// plants it would make them not comparable.
func (s *selfTest) judge(base, candidate string) (*analyze.Verdict, error) {
	_, inputs, err := openRuns([]string{base, candidate})
	if err != nil {
		return nil, err
	}
	for _, in := range inputs {
		for i := range in.Run.Scenarios {
			for _, name := range plantedFlags {
				delete(in.Run.Scenarios[i].Params, name)
			}
		}
	}
	return analyze.Gate(inputs[0], inputs[1], nil, s.policy), nil
}

// keep adds an unchanged run's trials to its workload's pool.
func (s *selfTest) keep(w *selfTestWorkload, dir string) (*results.Run, error) {
	d, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first[w.name] == "" {
		s.first[w.name] = dir
	}
	pool := s.pools[w.name]
	if pool == nil {
		s.pools[w.name] = d.Run
		return d.Run, nil
	}
	for i := range d.Run.Scenarios {
		if have := pool.Find(d.Run.Scenarios[i].ID); have != nil {
			have.Trials = append(have.Trials, d.Run.Scenarios[i].Trials...)
		}
	}
	return d.Run, nil
}

func (s *selfTest) resample() (rates []analyze.GateRate, err error) {
	for _, w := range selfTestWorkloads {
		if s.pools[w.name] == nil {
			continue
		}
		for _, change := range []float64{0, plantedChange} {
			r, err := analyze.ResampleGateRate(s.pools[w.name], s.flags.synthetic, s.flags.trials, change, s.policy, 3)
			if err != nil {
				return rates, err
			}
			r.Kind = w.name + ", " + r.Kind
			rates = append(rates, r)
		}
	}
	return rates, nil
}

func printSelfTest(cmd *cobra.Command, rates []analyze.GateRate, failure error, flags *selfTestFlags, format string) error {
	w := cmd.OutOrStdout()
	if format == "json" {
		return report.WriteSelfTestJSON(w, rates, failure)
	}
	return report.WriteSelfTest(w, rates, failure, flags.noVM, tableOptions(w, ""))
}
