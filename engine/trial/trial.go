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
	StageWrite   = "write"
)

// Measurement is what one trial gave.
type Measurement struct {
	Job      *Job
	Began    time.Time
	Duration time.Duration // of the measured part
	Result   workloads.Result
	Outcome  *collect.Outcome
	Probes   []probes.Attachment
	Warnings []string
	lookups  []timedLookups
	params   map[string]string // of the workload, all
	knobs    map[string]string
	env      *task.Env
}

// Run does a job and leaves a run directory of one scenario with one trial at
// env.Dir. When ctx is done it stops early and keeps what it has.
func Run(ctx context.Context, env *task.Env, j *Job) error {
	m, err := Measure(ctx, env, j)
	if err != nil {
		return err
	}
	m.stage(StageWrite, 0, 0)
	w, err := results.Create(env.Dir)
	if err != nil {
		return err
	}
	defer w.Abort()
	return m.write(w)
}

// Measure sets the job's workload up, attaches the probes, runs, and drains.
// When ctx is done it stops early and keeps what it has.
func Measure(ctx context.Context, env *task.Env, j *Job) (m *Measurement, err error) {
	m = &Measurement{Job: j, Began: time.Now(), env: env}
	w, params, err := j.load()
	if err != nil {
		return nil, err
	}
	m.params = params
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
	m.knobs = readKnobs()
	t := &tracer{stacks: j.Stacks}
	if traced, ok := instance.(workloads.Traced); ok && !j.NoProbes {
		traced.SetTracer(t)
	}
	switch {
	case j.NoProbes:
		err = m.unwatched(ctx, instance)
	case instance.WatchPrefix() == "":
		m.Outcome = &collect.Outcome{Loss: map[string]uint64{}}
		err = m.run(ctx, instance)
	default:
		err = m.watch(ctx, instance)
	}
	if err == nil {
		t.addTo(m)
	}
	return m, err
}

func (m *Measurement) stage(name string, done, total uint64) {
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
func (m *Measurement) watch(ctx context.Context, instance workloads.Instance) (err error) {
	m.stage(StageAttach, 0, 0)
	p, attachments, err := probes.Attach(probes.Config{
		WatchPrefix: instance.WatchPrefix(),
		WaitTGID:    uint32(os.Getpid()),
		RingBytes:   m.Job.RingBytes,
		InFlight:    m.Job.InFlight,
		Mechanisms:  m.Job.Mechanisms,
	})
	m.Probes = attachments
	if err != nil {
		return err
	}
	if m.env.PowersOffAfter {
		m.env.KeepAlive(p) // they would be detached when they are collected
	} else {
		defer func() { err = errors.Join(err, p.Close()) }()
	}
	c, err := collect.Start(p)
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	if err := m.run(ctx, instance); err != nil {
		return err
	}
	if err := p.Stop(); err != nil {
		return err
	}
	m.stage(StageDrain, 0, 0)
	timeout := m.Job.DrainTimeout
	if m.Result.Interrupted {
		timeout = min(timeout, 2*time.Second)
	}
	if err := c.Drain(context.WithoutCancel(ctx), timeout); err != nil {
		return err
	}
	m.Outcome, err = c.Finish()
	return err
}

// unwatched runs the workload with no probe attached: what the tracer itself
// costs is the difference to a run with them.
func (m *Measurement) unwatched(ctx context.Context, instance workloads.Instance) error {
	m.Outcome = &collect.Outcome{Loss: map[string]uint64{}}
	m.Warnings = append(m.Warnings, "no probes (--no-probes): operations were timed from user space, deaths were not watched")
	err := m.run(ctx, instance)
	m.Result.LastPuts = 0 // nobody was to see them
	return err
}

// run does the measured part.
func (m *Measurement) run(ctx context.Context, instance workloads.Instance) (err error) {
	m.stage(StageMeasure, 0, 0)
	time.Sleep(m.Job.StartPhase)
	began := time.Now()
	m.Result, err = instance.Run(ctx, m.onceASecond(StageMeasure))
	m.Duration = time.Since(began)
	return err
}
