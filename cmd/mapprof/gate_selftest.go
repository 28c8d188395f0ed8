// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/report"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// selfTestFlags are those of mapprof gate --self-test.
type selfTestFlags struct {
	kernel        string
	pairs, trials int
	count         int
	synthetic     int
	noVM, offline bool
	keep          string
	timeout       time.Duration
}

// selfTestFlagNames mean nothing without --self-test.
var selfTestFlagNames = []string{"kernel", "pairs", "trials", "count", "synthetic", "no-vm", "offline", "keep", "timeout"}

func (f *selfTestFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.kernel, "kernel", defaultKernel, "--self-test: kernel to boot")
	fs.IntVar(&f.pairs, "pairs", 1, "--self-test: pairs of real runs of each kind; each costs four times --trials boots")
	fs.IntVar(&f.trials, "trials", 3, "--self-test: trials on each side of a pair")
	fs.IntVar(&f.count, "count", 60, "--self-test: operations in a trial")
	fs.IntVar(&f.synthetic, "synthetic", 200, "--self-test: pairs of each kind that are made up or drawn from real trials")
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
	case f.timeout <= 0:
		return &usageError{errors.New("--timeout must be more than 0")}
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

// kindOfRun is what a real run of the self-test has planted.
type kindOfRun struct {
	name string
	args []string
	want string
}

var selfTestKinds = []kindOfRun{
	{"unchanged", nil, analyze.VerdictPass},
	{"delay in the workload", []string{"--inject-delay=8000000"}, analyze.VerdictRegression},
	{"longer-held reader", []string{"--inject-reader=24"}, analyze.VerdictRegression},
}

// realRun makes one run of a self-test in a new directory.
type realRun func(ctx context.Context, dir string, args []string) error

// selfTest is a self-test under way.
type selfTest struct {
	flags  *selfTestFlags
	policy analyze.Policy
	real   realRun
	dir    string
	log    io.Writer
	pool   *results.Run // the trials of all runs in which nothing is planted
	rates  []analyze.GateRate
	first  string // a run that is as it should be
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
	s.real = func(ctx context.Context, dir string, args []string) error {
		return flags.boot(ctx, intr, s.log, dir, args)
	}
	failure := s.run(ctx)
	if err := printSelfTest(cmd, s.rates, failure, flags, format); err != nil {
		return err
	}
	if failure != nil {
		return &exitError{code: exitInconclusive, err: failure}
	}
	for i := range s.rates {
		if s.rates[i].Hits() != s.rates[i].Pairs {
			return &exitError{code: exitFailure, err: errors.New("self-test: the gate did not say what it should have")}
		}
	}
	return nil
}

// boot does --trials boots of churn on the deterministic clock.
func (f *selfTestFlags) boot(ctx context.Context, intr interrupt, log io.Writer, dir string, args []string) error {
	flags := &runFlags{workload: "churn", strategies: []string{"rcu"}, trials: f.trials, out: dir, noDeaths: true,
		ring: 4 << 20, inFlight: 65536, drain: 30 * time.Second}
	flags.targetFlags = targetFlags{target: targetVM, kernels: []string{f.kernel}, clock: target.ClockICount, offline: f.offline, timeout: f.timeout}
	kernels, err := flags.resolve(ctx, log)
	if err != nil {
		return err
	}
	r, err := newRunner(flags, append([]string{fmt.Sprintf("--count=%d", f.count)}, args...), intr)
	if err != nil {
		return err
	}
	defer r.close()
	r.progress = newProgress(log)
	_, err = r.run(ctx, kernels)
	r.progress.finish()
	return err
}

// run does everything. What it measured until an error stays in rates.
func (s *selfTest) run(ctx context.Context) error {
	n, trials := s.flags.synthetic, s.flags.trials
	s.rates = append(s.rates,
		analyze.SyntheticGateRate(n, trials, syntheticSpread, 0, s.policy, 1),
		analyze.SyntheticGateRate(n, trials, syntheticSpread, plantedChange, s.policy, 2))
	if s.flags.noVM {
		return nil
	}
	real := make([]analyze.GateRate, len(selfTestKinds))
	defer func() {
		for _, r := range real {
			if r.Pairs > 0 {
				s.rates = append(s.rates, r)
			}
		}
	}()
	for pair := range s.flags.pairs {
		base := filepath.Join(s.dir, fmt.Sprintf("pair%d-baseline", pair+1))
		if err := s.real(ctx, base, nil); err != nil {
			return fmt.Errorf("self-test: %w", err)
		}
		if err := s.keep(base); err != nil {
			return err
		}
		for i, kind := range selfTestKinds {
			dir := filepath.Join(s.dir, fmt.Sprintf("pair%d-candidate%d", pair+1, i))
			if err := s.real(ctx, dir, kind.args); err != nil {
				return fmt.Errorf("self-test: %w", err)
			}
			if kind.args == nil {
				if err := s.keep(dir); err != nil {
					return err
				}
			}
			v, err := s.judge(base, dir)
			if err != nil {
				return err
			}
			real[i].Kind, real[i].Source, real[i].Want, real[i].Note = kind.name, analyze.SourceReal, kind.want, fmt.Sprintf("%d boots a side", s.flags.trials)
			real[i].Count(v)
			if v.Verdict != kind.want {
				fmt.Fprintf(s.log, "%s:\n", kind.name)
				if err := printVerdict(s.log, v, "table"); err != nil {
					return err
				}
			}
		}
	}
	if err := s.resample(); err != nil {
		return err
	}
	return s.truncated()
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
			delete(in.Run.Scenarios[i].Params, "inject-delay")
			delete(in.Run.Scenarios[i].Params, "inject-reader")
		}
	}
	return analyze.Gate(inputs[0], inputs[1], nil, s.policy), nil
}

// keep adds an unchanged run's trials to the pool.
func (s *selfTest) keep(dir string) error {
	d, err := results.Open(dir)
	if err != nil {
		return err
	}
	if s.pool == nil {
		s.pool, s.first = d.Run, dir
		return nil
	}
	for i := range d.Run.Scenarios {
		if have := s.pool.Find(d.Run.Scenarios[i].ID); have != nil {
			have.Trials = append(have.Trials, d.Run.Scenarios[i].Trials...)
		}
	}
	return nil
}

func (s *selfTest) resample() error {
	for _, change := range []float64{0, plantedChange} {
		r, err := analyze.ResampleGateRate(s.pool, s.flags.synthetic, s.flags.trials, change, s.policy, 3)
		if err != nil {
			return err
		}
		s.rates = append(s.rates, r)
	}
	return nil
}

// truncated cuts a good run off at many places; none may pass.
func (s *selfTest) truncated() error {
	data, err := os.ReadFile(filepath.Join(s.first, results.RunFile))
	if err != nil {
		return err
	}
	cut := filepath.Join(s.dir, "truncated")
	if err := os.Mkdir(cut, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(cut)
	rate := analyze.GateRate{Kind: "truncated run", Source: analyze.SourceReal, Want: analyze.VerdictInconclusive, Note: "cut off at as many places"}
	const places = 20
	for i := range places {
		if err := os.WriteFile(filepath.Join(cut, results.RunFile), data[:len(data)*i/places], 0o644); err != nil {
			return err
		}
		rate.Count(judge(s.first, cut, "", s.policy))
	}
	s.rates = append(s.rates, rate)
	return nil
}

func printSelfTest(cmd *cobra.Command, rates []analyze.GateRate, failure error, flags *selfTestFlags, format string) error {
	w := cmd.OutOrStdout()
	if format == "json" {
		return report.WriteSelfTestJSON(w, rates, failure)
	}
	return report.WriteSelfTest(w, rates, failure, flags.noVM, tableOptions(w, ""))
}
