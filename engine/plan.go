// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// Plan is what a run does: strategies × kernels × trials of one workload.
type Plan struct {
	Workload     string
	WorkloadArgs []string
	Strategies   []string
	Trials       int
	// Seed decides when each trial on the deterministic clock begins between
	// the kernel's ticks: equal seeds give equal runs.
	Seed    uint64
	Command []string // for run.json
	// Out is the run directory, begun and empty. Who made it aborts it.
	Out *results.Writer

	Kernels []target.Kernel // none: this machine's
	Machine target.VM       // to boot each of them on

	NoDeaths, NoProbes, Stacks bool
	RingBytes, InFlight        uint32
	DrainTimeout               time.Duration

	// Stop, when closed, ends the run early; what there is is kept.
	Stop     <-chan struct{}
	Progress Progress
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
	Begin(i, n int, label string)
	Stage(e trial.Progress)
	End(err error)
	Finish()
}

// NoProgress is for runs that are steps of something else.
type NoProgress struct{}

// Begin implements Progress.
func (NoProgress) Begin(int, int, string) {}

// Stage implements Progress.
func (NoProgress) Stage(trial.Progress) {}

// End implements Progress.
func (NoProgress) End(error) {}

// Finish implements Progress.
func (NoProgress) Finish() {}

// stageBoot is the host's: until the guest's own stages begin.
const stageBoot = "boot"
