// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"io"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

// Plan is what a run does: strategies × kernels × trials of one workload, taking
// turns.
type Plan struct {
	Target     target.Target
	Workload   string
	Params     map[string]string // of the workload that were given, by the name of the flag
	Strategies []string
	Trials     int
	// Seed decides when each trial on the deterministic clock begins between
	// the kernel's ticks: equal seeds give equal runs.
	Seed    uint64
	Options trial.Options
	// Jobs is how many trials run at once, where they don't disturb each other: on the
	// deterministic clock; 0: one.
	Jobs int
	// Timeout is that of one boot, for the message of one that it ended.
	Timeout time.Duration
	Command []string // for run.json
	// Files are more files for a VM, absolute path → content.
	Files map[string][]byte
	// Output takes what programs print that a trial runs; nil: nobody does.
	Output io.Writer
	// Out is the run directory, begun and empty. Who made it aborts it.
	Out *results.Writer
	// Stop, when closed, ends the run early; what there is is kept.
	Stop     <-chan struct{}
	Progress Progress
	// Decided, if any, is asked after each turn, of which there are Trials at
	// most, and ends the run: what there is then is all of it. It is asked Looks
	// times in earnest, which run.json keeps.
	Decided func(run *results.Run, turns int) bool
	Looks   int
}

// stopped tells whether Stop is closed.
func (p *Plan) stopped() bool {
	select {
	case <-p.Stop:
		return true
	default:
		return false
	}
}

// Progress is told where a run is. Its methods may be called from any
// goroutine.
type Progress interface {
	Begin(i, n int, label string) // of the i-th of n trials
	Stage(p task.Progress)
	End(err error) // of a trial
	Finish()
}

// NoProgress is for runs that are steps of something else.
type NoProgress struct{}

// Begin implements Progress.
func (NoProgress) Begin(int, int, string) {}

// Stage implements Progress.
func (NoProgress) Stage(task.Progress) {}

// End implements Progress.
func (NoProgress) End(error) {}

// Finish implements Progress.
func (NoProgress) Finish() {}
