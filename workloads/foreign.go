// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"io"
	"time"
)

// Foreign is an Instance whose maps are another program's: neither their names nor
// their number is known to it. All that its Filter wants are watched, and a trial
// keeps whose they are.
type Foreign interface {
	Instance
	Filter() Filter
	// StuckAfter is how long a death may be pending before it is told of; 0: for ever.
	StuckAfter() time.Duration
	// SetOutput gives it what its program's output goes to. It comes before Run.
	SetOutput(w io.Writer)
	// SetBecome gives it how a program becomes PID 1, as task.Env has it; nil: none can.
	// It comes before Run.
	SetBecome(func(file string, args, env []string, output io.Writer) (off <-chan string, err error))
	// OnEnd gives it what it calls once when the recording is over, while its program
	// is there still where it has not ended by itself. It comes before Run.
	OnEnd(f func())
}

// Filter says which deaths are wanted: those that fit every field that isn't empty.
// Names are globs, as path.Match has them.
type Filter struct {
	MapNames, MapTypes []string
	// Comms are of who created the map, or dropped it.
	Comms []string
	// Cgroups are paths below the root of cgroups; what is in one below counts.
	Cgroups    []string
	OuterNames []string
	// PID wants what this process and those that descend from it create or drop.
	PID uint32
}

// CommandEnd is how a program ended that a trial ran.
type CommandEnd struct {
	Args     []string
	ExitCode int    // 128+n where a signal ended it
	Signal   string // its name
	// Stopped says that it was ended: the recording was over.
	Stopped bool
}
