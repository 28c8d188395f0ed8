// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// Job is one trial, as it is handed to whoever runs it: this process on a
// local target, the same binary in a guest on a VM.
type Job struct {
	Scenario string   `json:"scenario"`
	Trial    int      `json:"trial"`
	Workload string   `json:"workload"`
	Args     []string `json:"args"` // the workload's flags
	Strategy string   `json:"strategy"`

	Doctor       bool          `json:"doctor,omitempty"` // only say what attaches
	Stacks       bool          `json:"stacks,omitempty"` // of lookups
	NoDeaths     bool          `json:"no_deaths"`
	NoProbes     bool          `json:"no_probes,omitempty"`   // watch nothing
	StartPhase   time.Duration `json:"start_phase,omitempty"` // wait before the measured part
	RingBytes    uint32        `json:"ring_bytes"`
	InFlight     uint32        `json:"in_flight"`
	Mechanisms   []string      `json:"mechanisms"`
	DrainTimeout time.Duration `json:"drain_timeout"`
}

// Stages of a trial, in order, for progress.
const (
	stageSetup   = "set up"
	stageAttach  = "attach"
	StageMeasure = "measure"
	stageDrain   = "drain"
	stageWrite   = "write"
)

// Progress says where a trial is.
type Progress struct {
	Stage string `json:"stage"`
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
	AtNS  int64  `json:"at_ns"` // since the trial's begin
}

const EventProgress = "progress"

// DecodeProgress reads what a guest says of its progress.
func DecodeProgress(payload []byte) (e Progress, ok bool) {
	if json.Unmarshal(payload, &e) != nil {
		return Progress{}, false
	}
	e.Stage = safetext.Name(e.Stage)
	return e, true
}

// Load finds the job's workload and parses its flags.
func (j *Job) Load() (workloads.Workload, *pflag.FlagSet, error) {
	d, err := workloads.Find(j.Workload)
	if err != nil {
		return nil, nil, err
	}
	w := d.New()
	fs := pflag.NewFlagSet(j.Workload, pflag.ContinueOnError)
	w.AddFlags(fs)
	if err := fs.Parse(j.Args); err != nil {
		return nil, nil, err
	}
	return w, fs, w.Check(j.Strategy)
}

// Trial is one job under way.
type Trial struct {
	Job        *Job
	OnProgress func(Progress)
	Begin      time.Time
	Result     workloads.Result
	Outcome    *collect.Outcome
	Measured   time.Duration
	warnings   []string
	lookups    []timedLookups
	// lastAct: the machine goes off after it, and the probes with it. To
	// detach them one by one takes seconds.
	PowersOffAfter bool
	attached       *probes.Probes    // attached until then
	lost           map[string]uint64 // by the lookup probes
	Probes         []probes.Attachment
	knobs          map[string]string
}

func (t *Trial) stage(name string, done, total uint64) {
	t.OnProgress(Progress{Stage: name, Done: done, Total: total, AtNS: time.Since(t.Begin).Nanoseconds()})
}

// Measure sets the workload up, attaches the probes, runs, and drains. When
// ctx is done it stops early and keeps what it has.
func (t *Trial) Measure(ctx context.Context) (err error) {
	w, _, err := t.Job.Load()
	if err != nil {
		return err
	}
	t.stage(stageSetup, 0, 0)
	instance, err := w.Setup(ctx, t.Job.Strategy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, instance.Close()) }()
	if n := instance.Note(); n != "" {
		t.warnings = append(t.warnings, n)
	}

	if traced, ok := instance.(workloads.Traced); ok && !t.Job.NoProbes {
		traced.SetTracer(t)
	}
	t.knobs = readKnobs()
	if t.Job.NoProbes {
		return t.unwatched(ctx, instance)
	}
	if instance.WatchPrefix() == "" {
		t.Outcome = &collect.Outcome{Loss: map[string]uint64{}}
		return t.run(ctx, instance)
	}
	return t.watch(ctx, instance)
}

// watch runs the workload while the deaths of its maps are watched.
func (t *Trial) watch(ctx context.Context, instance workloads.Instance) (err error) {
	t.stage(stageAttach, 0, 0)
	p, attachments, err := probes.Attach(probes.Config{
		WatchPrefix: instance.WatchPrefix(),
		WaitTGID:    uint32(os.Getpid()),
		RingBytes:   t.Job.RingBytes,
		InFlight:    t.Job.InFlight,
		Mechanisms:  t.Job.Mechanisms,
	})
	t.Probes = attachments
	if err != nil {
		return err
	}
	if t.attached = p; !t.PowersOffAfter {
		defer func() { err = errors.Join(err, p.Close()) }()
	}
	c, err := collect.Start(p)
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	if err := t.run(ctx, instance); err != nil {
		return err
	}
	if err := p.Stop(); err != nil {
		return err
	}
	t.stage(stageDrain, 0, 0)
	timeout := t.Job.DrainTimeout
	if t.Result.Interrupted {
		timeout = min(timeout, 2*time.Second)
	}
	if err := c.Drain(context.WithoutCancel(ctx), timeout); err != nil {
		return err
	}
	t.Outcome, err = c.Finish()
	return err
}

// run does the measured part.
func (t *Trial) run(ctx context.Context, instance workloads.Instance) (err error) {
	t.stage(StageMeasure, 0, 0)
	time.Sleep(t.Job.StartPhase)
	began := time.Now()
	last := began
	t.Result, err = instance.Run(ctx, func(done, total uint64) {
		if now := time.Now(); now.Sub(last) > time.Second {
			last = now
			t.stage(StageMeasure, done, total)
		}
	})
	t.Measured = time.Since(began)
	return err
}

// Run runs a job and leaves a run directory of one scenario with one
// trial at dir.
func Run(ctx context.Context, t *Trial, dir string) error {
	t.Begin = time.Now()
	if err := t.Measure(ctx); err != nil {
		return err
	}
	t.addLoss()
	t.stage(stageWrite, 0, 0)
	w, err := results.Create(dir)
	if err != nil {
		return err
	}
	defer w.Abort()
	return t.write(w)
}

func DecodeJob(data []byte) (*Job, error) {
	j := new(Job)
	if err := json.Unmarshal(data, j); err != nil {
		return nil, fmt.Errorf("read job: %w", err)
	}
	return j, nil
}
