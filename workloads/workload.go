// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"time"

	"github.com/spf13/pflag"
)

// Workload is a driver with its parameters, before it touches a kernel.
type Workload interface {
	// AddFlags registers the parameters with their defaults.
	AddFlags(fs *pflag.FlagSet)
	// Check validates the parameters, after the flags are parsed and without
	// a kernel. Its error is the user's mistake.
	Check(strategy string) error
	// Strategies lists what it can arrange, the first being the default.
	Strategies() []string
	// Setup prepares everything that isn't measured.
	Setup(ctx context.Context, strategy string) (Instance, error)
}

// Instance is a workload set up on a kernel, ready to run once.
type Instance interface {
	// Run does the measured operations. When ctx is done it ends early and
	// returns what it did, without an error.
	Run(ctx context.Context, progress func(done, total uint64)) (Result, error)
	// WatchPrefix starts the names of the maps whose deaths count: this
	// instance's and no others. Empty: no death is of interest.
	WatchPrefix() string
	// Note says what of the strategy could not be arranged; empty: nothing.
	Note() string
	// Close undoes Setup.
	Close() error
}

// Sized is a Workload that needs much memory.
type Sized interface {
	Workload
	// MemoryBytes is about what it takes of a target with that many CPUs,
	// after Check.
	MemoryBytes(cpus int) uint64
}

// Timed is a Workload whose parameters say how long it takes.
type Timed interface {
	Workload
	// AtLeast is how long one trial takes at least, after Check; 0 where
	// nothing says so.
	AtLeast() time.Duration
}

// Traced is an Instance that has calls to be timed; SetTracer comes before
// Run.
type Traced interface {
	Instance
	SetTracer(t Tracer)
}
