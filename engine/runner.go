// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/wire"
)

// runner does the trials of one run, and puts what they give into one run directory,
// one after the other.
type runner struct {
	Plan
	result   *results.Run
	summer   *analyze.Summer
	profile  *pprof.Profile
	timedOut bool      // the last trial, by the machine's timeout
	folded   int       // trials in result, one of which may have been cut off
	logged   time.Time // when the last interval in the log of histograms ends; at first the run's start
	output   sharedOutput
	torn     bool // the run directory has something of a trial that isn't in result
}

// planned is one trial to do.
type planned struct {
	job    trial.Job
	kernel int // of the target's
	label  string
}

// Run does the trials of a plan in turns and writes the run directory. The run that
// it returns is written, and may be partial. A nil error: every trial was done and
// the run's arithmetic holds.
func Run(ctx context.Context, p Plan) (*results.Run, error) {
	r := &runner{Plan: p, output: sharedOutput{w: p.Output}, summer: analyze.NewSummer(), result: &results.Run{
		Tool: trial.ToolInfo(), Host: trial.HostInfo(), Command: p.Command,
		Started: time.Now(), Warnings: []string{}, Loss: map[string]uint64{}, Looks: p.Looks, IntervalNS: p.Options.Interval.Nanoseconds(),
	}}
	r.logged = r.result.Started
	return r.run(ctx)
}

// plan interleaves: every strategy on every kernel, then the next trial.
func (r *runner) plan() []planned {
	var plan []planned
	for n := range r.Trials {
		for i, kernel := range r.Target.Kernels() {
			for _, strategy := range r.Strategies {
				p := planned{kernel: i, label: fmt.Sprintf("%s %s, trial %d", kernel, strategy, n), job: trial.Job{
					Scenario: TagSafe(r.Workload + "/" + kernel + "/" + strategy), Trial: n,
					Workload: r.Workload, Params: r.Params, Strategy: strategy, Options: r.Options,
				}}
				if results.Deterministic(r.Target.Clock()) {
					p.job.StartPhase, p.job.Quiet = startPhase(r.Seed, n), true
				}
				plan = append(plan, p)
			}
		}
	}
	return plan
}

// startPhase is when a trial on the deterministic clock begins: anywhere within
// some ticks, after which RCU looks again (jiffies_till_first_fqs).
// Every boot would meet the same tick at the same instruction otherwise, and
// the trials would differ by nothing.
func startPhase(seed uint64, n int) time.Duration {
	const within = 40 * time.Millisecond
	return time.Duration(rand.New(rand.NewPCG(seed, uint64(n))).Int64N(int64(within)))
}

// TagSafe replaces what a histogram tag can't hold: a kernel's release comes
// from a file.
func TagSafe(s string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c == ',' || c > '~' {
			return '_'
		}
		return c
	}, s)
}

// run is Run, with failure for its error.
func (r *runner) run(ctx context.Context) (_ *results.Run, failure error) {
	plan := r.plan()
	if err := r.checkJobs(); err != nil {
		return nil, err
	}
	ahead := r.ahead(ctx, plan)
	defer func() {
		if err := ahead.end(); err != nil {
			failure = errors.Join(failure, err)
		}
	}()
	done := 0
	for i := range plan {
		if r.stopped() {
			failure = errors.New("interrupted")
			break
		}
		r.Progress.Begin(i, len(plan), plan[i].label)
		err := r.take(ctx, ahead.next())
		r.Progress.End(err)
		if err != nil {
			failure = fmt.Errorf("%s: %w", plan[i].label, err)
			if errors.Is(err, target.ErrStopped) || errors.Is(err, errNothingMeasured) || errors.Is(err, context.Canceled) {
				failure = errors.New("interrupted")
			}
			if r.timedOut {
				failure = fmt.Errorf("%s: %w", plan[i].label, r.errTimedOut())
			}
			break
		}
		done++
		if r.timedOut {
			failure = fmt.Errorf("%s: %w", plan[i].label, r.errTimedOut())
			break
		}
		if perTurn := len(plan) / r.Trials; r.Decided != nil && done%perTurn == 0 && r.Decided(r.result, done/perTurn) {
			break
		}
	}
	if r.torn { // the run directory is as its last checkpoint made it
		return nil, fmt.Errorf("%w (what had been recorded before is kept, as a partial run)", failure)
	}
	if r.folded == 0 {
		if r.stopped() {
			return nil, errors.New("interrupted before anything was measured")
		}
		return nil, failure
	}
	if r.stopped() && failure == nil && r.result.Partial {
		failure = errors.New("interrupted")
	}
	if failure != nil {
		r.result.Partial = true
		r.result.PartialReason = fmt.Sprintf("%d of %d trials: %v", done, len(plan), failure)
	}
	if err := r.finish(); err != nil {
		return nil, errors.Join(failure, err)
	}
	return r.result, errors.Join(failure, Verify(r.result))
}

// errTimedOut is a trial that --timeout ended.
func (r *runner) errTimedOut() error {
	return fmt.Errorf("not done in %v (give it a longer --timeout)", r.Timeout)
}

// Verify holds the run against its own arithmetic.
func Verify(run *results.Run) error {
	errs := []error{analyze.CheckBalance(run)}
	for _, s := range run.Scenarios {
		for _, t := range s.Trials {
			for _, f := range t.Failures {
				errs = append(errs, fmt.Errorf("%s trial %d: %s", s.ID, t.Index, safetext.Text(f)))
			}
			if n := t.Loss["unmatched_free"]; n > 0 && s.TargetIx < len(run.Targets) && trial.PutsByKprobes(&run.Targets[s.TargetIx]) {
				errs = append(errs, fmt.Errorf("%s trial %d: %d of %d maps were freed whose last put no kprobe saw: this kernel has no fentry for it, and runs no kprobe inside bpf(2) (see mapprof doctor; --strategy immediate has its last puts in close(2))",
					s.ID, t.Index, n, t.Puts))
				continue
			}
			if n := t.Loss["unmatched_free"]; n > 0 {
				errs = append(errs, fmt.Errorf("%s trial %d: %d of %d maps were freed whose last put was not recorded: %s (see mapprof doctor; where inflight_full counts, give it more --in-flight)",
					s.ID, t.Index, n, t.Puts, safetext.Text(results.LossText(t.Loss))))
			}
			if t.Puts != t.Expected {
				errs = append(errs, fmt.Errorf("%s trial %d: the workload dropped %d last references, the probes saw %d (see mapprof doctor; the figures above are of those seen)",
					s.ID, t.Index, t.Expected, t.Puts))
			}
		}
	}
	return errors.Join(errs...)
}

func (r *runner) finish() error {
	if err := r.summer.Finish(r.result); err != nil {
		return err
	}
	r.result.Ended = time.Now()
	if r.profile != nil {
		gz, err := profileBytes(r.profile, r.result)
		if err != nil {
			return err
		}
		if err := r.Out.Profile(gz); err != nil {
			return err
		}
	}
	return r.Out.Finish(r.result)
}

// take folds the result of a trial into the whole. Of one whose machine did not last,
// that is what it had sent before; the error is the machine's.
func (r *runner) take(ctx context.Context, o *ran) error {
	if o.scratch == nil {
		return o.failure
	}
	defer o.scratch.Close()
	u, done, failure := o.u, o.done, o.failure
	r.torn = u.kept
	if failure != nil && !u.kept && (ctx.Err() != nil || !leftRun(&done, failure)) {
		return failure
	}
	r.timedOut = failure == nil && done.Outcome.TimedOut
	if err := u.last(); err != nil {
		return errors.Join(failure, err)
	}
	t, err := r.adopt(u, u.part.Run, &done, o.began.Load(), o.ended)
	if err != nil {
		return errors.Join(failure, err)
	}
	if t.Partial && t.Ops == 0 && t.Puts == 0 && len(t.Metrics) == 0 {
		return cmp.Or(failure, errNothingMeasured)
	}
	t.Warnings, t.Reboots = append(t.Warnings, done.Outcome.Warnings...), done.Outcome.Reboots
	if failure != nil {
		t.Partial, u.part.Run.PartialReason = true, ""
		t.Warnings = append(t.Warnings, fmt.Sprintf("trial %d was cut off: its figures are what had been measured %v after its begin",
			t.Index, time.Duration(t.DurationNS).Round(time.Second/10)))
	}
	if err := r.fold(u); err != nil {
		return errors.Join(failure, err)
	}
	r.torn = false
	r.folded++
	return failure
}

// adopt checks that a part is the trial that was asked for, and brings it to the
// target's units and this machine's clock. done is of the machine that did it.
func (r *runner) adopt(u *underway, part *results.Run, done *target.Done, began *time.Time, ended time.Time) (*results.Trial, error) {
	if len(part.Scenarios) != 1 || len(part.Scenarios[0].Trials) != 1 || len(part.Targets) != 1 ||
		part.Scenarios[0].ID != u.job.Scenario || part.Scenarios[0].Trials[0].Index != u.job.Trial {
		return nil, errors.New("read what the trial gave: not the scenario and the trial that were asked for")
	}
	t := &part.Scenarios[0].Trials[0]
	done.Describe(&part.Targets[0])
	part.Target = part.Targets[0]
	analyze.InUnitsOf(r.Target.Clock(), part.Scenarios[0].Metrics)
	analyze.InUnitsOf(r.Target.Clock(), t.Metrics)
	if t.Started.After(part.Ended) || part.Ended.Sub(t.Started) > maxTrial || part.Ended.Sub(ended) > maxAhead {
		return nil, fmt.Errorf("read what the trial gave: it began at %v and ended at %v", t.Started.UTC(), part.Ended.UTC())
	}
	if !u.placed { // once: the intervals of a trial follow one another
		u.placed, u.shift = true, onHostsClock(part, began, ended, r.logged)
	}
	t.Started = t.Started.Add(u.shift)
	return t, nil
}

// maxTrial is longer than any trial on any clock takes, maxAhead more than a target's
// clock is ahead of this machine's.
const (
	maxTrial = 365 * 24 * time.Hour
	maxAhead = 100 * maxTrial
)

// onHostsClock is what to add to a trial's times. Its target may have another clock,
// and a deterministic one has another pace. By this machine's clock the measured part
// began no later than that was told (nil: it was not), and what the target wrote ended
// no later than ended; the sooner of the two holds. It begins no earlier than logged,
// so that intervals of trials don't overlap, nor the first and what was before the run: a
// deterministic clock passes over waits in no time.
func onHostsClock(part *results.Run, began *time.Time, ended, logged time.Time) time.Duration {
	started := part.Scenarios[0].Trials[0].Started
	shift := ended.Sub(part.Ended)
	if began != nil {
		shift = min(shift, began.Sub(started))
	}
	return max(shift, logged.Sub(started))
}

// leftRun tells whether a guest that failed had sent a run before. One that broke
// the protocol is not trusted with anything.
func leftRun(done *target.Done, failure error) bool {
	var broken *wire.ChannelError
	if errors.As(failure, &broken) && !broken.Ended {
		return false
	}
	return slices.Contains(done.Outcome.Files, results.RunFile)
}

// errNothingMeasured is a trial that was interrupted too early to be kept.
var errNothingMeasured = errors.New("interrupted before anything was measured")

func (r *runner) fold(u *underway) error {
	if err := analyze.Merge(r.result, u.part.Run); err != nil {
		return err
	}
	if err := r.takeNew(u); err != nil {
		return err
	}
	if err := u.addTo(r.summer); err != nil {
		return err
	}
	p, err := profile.OfDir(u.part.Dir)
	if err != nil {
		return fmt.Errorf("read the trial's profile: %w", err)
	}
	if r.profile == nil {
		r.profile = p
		return nil
	}
	r.profile, err = profile.Merge([]*pprof.Profile{r.profile, p})
	return err
}

// takeNew takes the histograms and deaths of a trial that have come since the last
// time into the run directory.
func (r *runner) takeNew(u *underway) error {
	if err := u.part.NewHistograms(func(h *hdrhistogram.Histogram) error { return r.foldHistogram(u, h) }); err != nil {
		return err
	}
	if r.Options.NoDeaths {
		return nil
	}
	if err := r.Out.KeepDeaths(); err != nil {
		return err
	}
	return u.part.NewDeaths(func(d *results.Death) error { return r.foldDeath(u.part.Run, d) })
}

// foldHistogram takes a histogram of the one trial of a part: of its phases,
// and of the calls that its metrics tell of. A guest's file may hold others,
// which nobody asked for. Its interval is put on this machine's clock, and ends
// within what the trial took.
func (r *runner) foldHistogram(u *underway, h *hdrhistogram.Histogram) error {
	s := &u.part.Run.Scenarios[0]
	t := &s.Trials[0]
	scenario, trial, phase, err := results.ParseTag(h.Tag())
	if err != nil {
		return err
	}
	_, timed := t.Metrics[strings.TrimSuffix(phase, results.PicosecondsSuffix)]
	_, isPhase := results.PhaseNamed(phase)
	if scenario != s.ID || trial != t.Index || !isPhase && !timed {
		return fmt.Errorf("read what the trial gave: histogram %s is not of this trial", h.Tag())
	}
	// A guest may say anything; what its trial took holds.
	within := func(ms int64) time.Time {
		at := time.UnixMilli(ms).Add(u.shift)
		if at.Before(t.Started) {
			return t.Started
		}
		if ended := u.part.Run.Ended.Add(u.shift); at.After(ended) {
			return ended
		}
		return at
	}
	end := within(h.EndTimeMs())
	if err := r.Out.Histogram(h.Tag(), h, within(h.StartTimeMs()), end); err != nil {
		return err
	}
	if end.After(r.logged) {
		r.logged = end
	}
	sum, again := u.phases[h.Tag()]
	switch {
	case !again && isPhase:
		u.phases[h.Tag()] = h
		return nil
	case !again:
		u.phases[h.Tag()] = nil
		return nil
	case sum == nil || r.Options.Interval == 0:
		return fmt.Errorf("read what the trial gave: histogram %s occurs twice", h.Tag())
	}
	if dropped := sum.Merge(h); dropped != 0 {
		return fmt.Errorf("read what the trial gave: %d values of %s don't fit its other intervals", dropped, h.Tag())
	}
	return nil
}

// addTo adds the trial's phases to those of the run.
func (u *underway) addTo(s *analyze.Summer) error {
	for tag, h := range u.phases {
		if h == nil {
			continue
		}
		scenario, trial, phase, err := results.ParseTag(tag)
		if err != nil {
			return err
		}
		if err := s.AddHistogram(scenario, phase, trial, h); err != nil {
			return err
		}
	}
	return nil
}

// foldDeath keeps a death of the one trial of a part.
func (r *runner) foldDeath(part *results.Run, d *results.Death) error {
	if s := &part.Scenarios[0]; d.Scenario != s.ID || d.Trial != s.Trials[0].Index {
		return fmt.Errorf("read what the trial gave: a death of %s, trial %d, is not of this trial", safetext.Name(d.Scenario), d.Trial)
	}
	return r.Out.Death(d)
}
