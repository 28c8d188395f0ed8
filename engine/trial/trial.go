// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

// Stages of a trial, in order, for progress.
const (
	StageSetup   = "set up"
	StageAttach  = "attach"
	StageMeasure = "measure"
	StageDrain   = "drain"
	StageDetach  = "detach"
	StageWrite   = "write"
)

// Measurement is what one trial gave.
type Measurement struct {
	Job      *Job
	Began    time.Time
	Measured time.Time     // when the measured part began
	Duration time.Duration // of the measured part
	Drained  time.Time     // when all deaths had ended, or were given up
	Result   workloads.Result
	Outcome  *collect.Outcome
	// Deaths and Waits are all of them, in the order of their ends, where the job
	// asks for it.
	Deaths   []results.Death
	Waits    []collect.Wait
	Probes   []probes.Attachment
	Runs     []probes.ProgramRuns // where the job asks for them
	Warnings []string
	sums     *sums
	lookups  []timedLookups
	params   map[string]string // of the workload, all
	knobs    map[string]string
	env      *task.Env
	memory   *memoryLeft
	startup  results.Startup
	file     *deathsFile
	log      *histogramsFile // nil: the trial is one interval
}

// OpStats are the figures of the workload's operations.
func (m *Measurement) OpStats() results.Stats { return m.sums.ops().Stats() }

// Run does a job and leaves a run directory of one scenario with one trial at
// env.Dir; single deaths go by env.Uplink where there is one. When ctx is done it
// stops early and keeps what it has.
func Run(ctx context.Context, env *task.Env, j *Job) error {
	w, err := results.Create(env.Dir)
	if err != nil {
		return err
	}
	defer w.Abort()
	deaths, err := newDeathsFile(env, j, w)
	if err != nil {
		return err
	}
	m, err := measure(ctx, env, j, deaths)
	if err != nil {
		return err
	}
	m.stage(StageWrite, 0, 0)
	if err := deaths.end(); err != nil {
		return err
	}
	deaths.list(w)
	return m.write(w)
}

// Measure sets the job's workload up, attaches the probes, runs, and drains.
// When ctx is done it stops early and keeps what it has. It writes nothing.
func Measure(ctx context.Context, env *task.Env, j *Job) (*Measurement, error) {
	return measure(ctx, env, j, &deathsFile{})
}

func measure(ctx context.Context, env *task.Env, j *Job, deaths *deathsFile) (m *Measurement, err error) {
	m = &Measurement{Job: j, Began: time.Now(), env: env, memory: &memoryLeft{}, file: deaths, log: deaths.log}
	w, params, err := j.load()
	if err != nil {
		return nil, err
	}
	m.params = params
	m.sums = newSums(j, params)
	var early *early
	if counted, ok := w.(workloads.Counted); ok && counted.Deaths() > 0 && !j.NoProbes {
		early = begin()
		defer func() { err = errors.Join(err, early.close()) }()
	}
	m.stage(StageSetup, 0, 0)
	if slow, ok := w.(workloads.SlowSetup); ok {
		slow.OnSetup(m.onceASecond(StageSetup))
	}
	instance, err := w.Setup(ctx, j.Strategy)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, instance.Close()) }()
	if n := instance.Note(); n != "" {
		m.Warnings = append(m.Warnings, n)
	}
	watched := !j.NoProbes && (instance.WatchPrefix() != "" || isForeign(instance))
	if watched && !isForeign(instance) && early == nil {
		early = begin()
		defer func() { err = errors.Join(err, early.close()) }()
	}
	m.knobs = readKnobs()
	done, err := tellHolders(instance)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	t := &tracer{stacks: j.Stacks, seed: uint64(j.StartPhase)} // the run's seed gave the trial its own
	if traced, ok := instance.(workloads.Traced); ok && !j.NoProbes {
		traced.SetTracer(t)
	}
	if recorded, ok := instance.(workloads.Recorded); ok {
		recorded.SetRecorder(m.sums.operation)
	}
	switch {
	case j.NoProbes:
		err = m.unwatched(ctx, instance)
	case !watched:
		if err := early.close(); err != nil {
			return nil, err
		}
		m.Outcome = &collect.Outcome{Loss: map[string]uint64{}}
		err = m.run(ctx, instance, nil)
	default:
		err = m.watch(ctx, instance, deaths, early)
	}
	m.Drained = time.Now()
	if err == nil {
		t.addTo(m)
	}
	return m, err
}

func (m *Measurement) stage(name string, done, total uint64) {
	m.memory.look()
	m.env.OnProgress(task.Progress{Stage: name, Done: done, Total: total, AtNS: time.Since(m.Began).Nanoseconds()})
}

// onceASecond tells the progress of a stage, not more often.
func (m *Measurement) onceASecond(stage string) func(done, total uint64) {
	last := time.Now()
	return func(done, total uint64) {
		if now := time.Now(); now.Sub(last) > time.Second {
			last = now
			m.stage(stage, done, total)
		}
	}
}

// watch runs the workload while the deaths of its maps are watched.
func (m *Measurement) watch(ctx context.Context, instance workloads.Instance, deaths *deathsFile, early *early) (err error) {
	m.stage(StageAttach, 0, 0)
	cfg := probes.Config{
		WatchPrefix: instance.WatchPrefix(),
		WaitTGID:    uint32(os.Getpid()),
		RingBytes:   m.Job.RingBytes,
		InFlight:    m.Job.InFlight,
		Mechanisms:  m.Job.Mechanisms,
		Prepared:    early.probes(),
	}
	defer sparingly(instance)()
	var p *probes.Probes
	f, err := m.others(ctx, instance, &cfg)
	if err == nil {
		defer func() { err = errors.Join(err, f.close()) }()
		began := time.Now()
		p, m.Probes, err = probes.Attach(cfg)
		if note := kprobesMiss(m.Probes); note != "" {
			m.Warnings = append(m.Warnings, note)
		}
		m.startup.AttachNS = (f.loading + time.Since(began)).Nanoseconds()
	}
	if errors.Is(err, probes.ErrEnded) {
		m.endedEarly()
		return nil
	}
	if err != nil {
		return err
	}
	if m.env.PowersOffAfter {
		m.env.KeepAlive(p) // they would be detached when they are collected
	} else {
		defer func() {
			m.stage(StageDetach, 0, 0)
			err = errors.Join(err, p.CloseTelling(m.onceASecond(StageDetach)))
		}()
	}
	f.tidy()
	s := newSink(m, deaths)
	s.foreign = f.owners != nil
	if _, ok := instance.(workloads.Concluded); ok {
		s.keep = true
	}
	if err := f.exclude(p); err != nil {
		return err
	}
	c, err := early.start(p, s, f.owners)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if f.owners != nil { // one that times lookups has use for the types
		p.ForgetTypes(f.inventory)
	}
	f.tidy()
	if err := p.Start(); err != nil {
		return err
	}
	m.startup.WatchingNS = time.Since(m.Began).Nanoseconds()
	if m.Job.CountRuns {
		counting, err := probes.CountRuns()
		if err != nil {
			return err
		}
		defer counting.Close()
	}
	every := readEvery
	if others, ok := instance.(workloads.Foreign); ok {
		if after := others.StuckAfter(); after > 0 {
			every = min(every, after/10)
		}
		others.OnEnd(c.End)
	}
	if err := m.run(ctx, instance, &follower{sink: s, collector: c, live: f.owners != nil, every: every}); err != nil {
		return err
	}
	if err := p.Stop(); err != nil {
		return err
	}
	m.stage(StageDrain, 0, 0)
	timeout := m.Job.DrainTimeout
	if m.Result.Interrupted || ctx.Err() != nil { // who has asked for the end waits for it
		timeout = min(timeout, 2*time.Second)
	}
	if err := c.Drain(context.WithoutCancel(ctx), timeout); err != nil {
		return err
	}
	m.Outcome, err = c.Finish()
	if text := f.owners.Problem(); text != "" {
		m.Warnings = append(m.Warnings, text)
	}
	if err == nil && f.owners != nil {
		m.Result.LastPuts = m.Outcome.Puts // nobody else knows
	}
	m.Deaths, m.Waits = s.deaths, s.waits
	if err == nil && m.Job.CountRuns {
		m.Runs, err = p.Runs()
	}
	if err == nil {
		m.conclude(instance)
	}
	return err
}

// endedEarly is a recording that was told to end before it watched anything.
func (m *Measurement) endedEarly() {
	m.Outcome = &collect.Outcome{Final: true, Loss: map[string]uint64{}}
	m.Result.Loop = results.LoopOpen
	m.Measured = time.Now()
	m.Warnings = append(m.Warnings, "it was told to end before every probe was attached: nothing was watched, and the command was not run")
}

// unwatched runs the workload with no probe attached: what the tracer itself
// costs is the difference to a run with them.
func (m *Measurement) unwatched(ctx context.Context, instance workloads.Instance) error {
	m.Outcome = &collect.Outcome{Loss: map[string]uint64{}}
	m.Warnings = append(m.Warnings, "no probes (--no-probes): operations were timed from user space, deaths were not watched")
	err := m.run(ctx, instance, nil)
	m.Result.LastPuts = 0 // nobody was to see them
	return err
}

// run does the measured part; f follows it, nil: nobody does.
func (m *Measurement) run(ctx context.Context, instance workloads.Instance, f *follower) (err error) {
	m.stage(StageMeasure, 0, 0)
	time.Sleep(m.Job.StartPhase)
	m.Measured = time.Now()
	tell := m.onceASecond(StageMeasure)
	m.Result, err = instance.Run(ctx, func(done, total uint64) {
		f.operated(ctx, done)
		tell(done, total)
		f.at(time.Since(m.Measured))
	})
	m.Duration = time.Since(m.Measured)
	if w := f.warning(m.Duration); w != "" {
		m.Warnings = append(m.Warnings, w)
	}
	return err
}
