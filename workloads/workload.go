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
	// MemoryBytes is what it takes at most of a target with that many CPUs,
	// after Check of the same strategy: its maps, those in limbo, and what
	// grows with them in user space. Too much costs nothing but a refusal on a
	// small machine, too little an out-of-memory kill.
	MemoryBytes(strategy string, cpus int) uint64
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

// Timed is a Workload whose parameters say how long it takes.
type Timed interface {
	Workload
	// AtLeast is how long one trial takes at least, after Check; 0 where
	// nothing says so.
	AtLeast() time.Duration
}

// Demanding is a Workload that not every target can do.
type Demanding interface {
	Workload
	// CheckTarget says what a target lacks, after Check of the same strategy.
	// Its error is the user's mistake; who asks puts the kernel's name before it.
	CheckTarget(strategy string, t Target) error
}

// Modular is a Workload that needs modules of the target's kernel: a VM loads them, and
// what they depend on, where they aren't built in; this machine's kernel loads them itself.
type Modular interface {
	Workload
	// Modules lists them, after Check.
	Modules() []string
}

// SlowSetup is a Workload whose Setup can take long.
type SlowSetup interface {
	Workload
	// OnSetup gives it what Setup is to tell its progress; calls come one after
	// the other.
	OnSetup(progress func(done, total uint64))
	// SetupWithin is how long Setup and Close take at most, after Check, on a
	// slow machine; one boot is given as much.
	SetupWithin() time.Duration
}

// Counted is a Workload whose parameters say how many deaths it causes.
type Counted interface {
	Workload
	// Deaths is how many one trial causes, after Check; 0 where nothing says so.
	Deaths() uint64
}

// Traced is an Instance that has calls to be timed; SetTracer comes before
// Run.
type Traced interface {
	Instance
	SetTracer(t Tracer)
}

// Recorded is an Instance whose operations' times count. SetRecorder comes before
// Run, which calls record for each: with its latency in nanoseconds, from its
// intended start in an open loop, from its start in a closed one.
type Recorded interface {
	Instance
	SetRecorder(record func(ns int64))
}
