// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"context"
	"time"
	"unsafe"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

// Job is one trial as it is handed to the kernel that it is about.
type Job struct {
	Scenario string            `json:"scenario"`
	Trial    int               `json:"trial"`
	Workload string            `json:"workload"`
	Params   map[string]string `json:"params"` // of the workload that were given, by the name of the flag
	Strategy string            `json:"strategy"`
	// StartPhase is a wait before the measured part.
	StartPhase time.Duration `json:"start_phase,omitempty"`
	// Quiet lets nothing leave the kernel's machine before the workload has ended:
	// on the deterministic clock the host's answers would come at any instruction.
	Quiet bool `json:"quiet,omitempty"`
	// KeepEvents keeps every single death and wait in the Measurement, for who
	// looks at a few.
	KeepEvents bool `json:"keep_events,omitempty"`
	// CountRuns keeps in the Measurement how often each probe ran, and for how long.
	CountRuns bool `json:"count_runs,omitempty"`
	Options
}

// Options of a trial that don't depend on its workload.
type Options struct {
	Stacks   bool `json:"stacks,omitempty"` // keep the callers' stacks of lookups
	NoDeaths bool `json:"no_deaths"`        // keep no single death
	// DeathsLimit is how many single deaths a trial keeps at most; 0: all.
	DeathsLimit uint64 `json:"deaths_limit,omitempty"`
	// Interval is how often the histograms begin anew and what there is leaves the
	// trial, so that no more than that is lost with it; 0: the trial is one interval.
	Interval     time.Duration `json:"interval,omitempty"`
	NoProbes     bool          `json:"no_probes,omitempty"`  // watch nothing
	RingBytes    uint32        `json:"ring_bytes"`           // of the probes' ring buffer, a power of two
	InFlight     uint32        `json:"in_flight"`            // deaths that may be pending at once
	OwnedMaps    uint32        `json:"owned_maps,omitempty"` // of a recording: maps whose creator and outer map are kept at once
	DrainTimeout time.Duration `json:"drain_timeout"`        // for pending deaths at the end
	Mechanisms   []string      `json:"mechanisms,omitempty"` // by which probes may attach; none: all
}

// DefaultOptions are those of mapprof run.
func DefaultOptions() Options {
	return Options{RingBytes: 4 << 20, InFlight: 65536, DrainTimeout: 30 * time.Second}
}

// MemoryBytes is what the job takes at most of a kernel with that many CPUs: its
// workload, and what the options decide of the tracer.
func (j *Job) MemoryBytes(cpus int) (uint64, error) {
	w, _, err := j.load()
	if err != nil {
		return 0, err
	}
	return w.MemoryBytes(j.Strategy, cpus) + j.tracerBytes(), nil
}

// Deaths is how many deaths the job causes; 0 where its parameters don't say so.
func (j *Job) Deaths() (uint64, error) {
	w, _, err := j.load()
	if err != nil {
		return 0, err
	}
	if counted, ok := w.(workloads.Counted); ok {
		return counted.Deaths(), nil
	}
	return 0, nil
}

// CheckTarget says why the job can't be done on a kernel of that release, or on that
// many CPUs (0: not known), as far as these tell. Its error is the user's mistake.
func (j *Job) CheckTarget(release string, cpus int) error {
	w, _, err := j.load()
	if err != nil {
		return err
	}
	if demanding, ok := w.(workloads.Demanding); ok {
		return demanding.CheckTarget(j.Strategy, workloads.Target{Release: release, CPUs: cpus})
	}
	return nil
}

// tracerBytes is the ring buffer, and the hashes of deaths that are pending and of
// whose each map is.
func (o Options) tracerBytes() uint64 {
	if o.NoProbes {
		return 0
	}
	const overhead = 48 + 8 + 2*16 // an element's header and key, and its buckets
	return uint64(o.RingBytes) + uint64(o.InFlight)*(uint64(unsafe.Sizeof(probes.DeathEvent{}))+overhead) +
		uint64(o.OwnedMaps)*(uint64(unsafe.Sizeof(probes.Owner{}))+overhead)
}

// load makes the job's workload, and all its parameters by name.
func (j *Job) load() (workloads.Workload, map[string]string, error) {
	w, flags, err := workloads.New(j.Workload, j.Params)
	if err != nil {
		return nil, nil, err
	}
	if err := w.Check(j.Strategy); err != nil {
		return nil, nil, err
	}
	return w, workloads.Params(flags), nil
}

// The tasks of this package.
const (
	TaskRun    = "trial"  // a Job; leaves a run directory
	TaskDoctor = "doctor" // gives a Diagnosis
)

// Handlers are the functions that do these tasks, by name.
func Handlers() task.Handlers {
	return task.Handlers{
		TaskRun: task.Handle(func(ctx context.Context, env *task.Env, j Job) (task.None, error) {
			return task.None{}, Run(ctx, env, &j)
		}),
		TaskDoctor: task.Handle(func(context.Context, *task.Env, task.None) (Diagnosis, error) {
			return Diagnose(), nil
		}),
		task.Warm: task.Handle(func(context.Context, *task.Env, task.None) (task.None, error) {
			return task.None{}, probes.Warm()
		}),
	}
}
