// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/spf13/pflag"
)

// Strategies that a workload can be asked for.
const (
	StrategyImmediate  = "immediate"   // freed at once: never in an outer map
	StrategyRCU        = "rcu"         // no sleepable program uses the outer map
	StrategyTasksTrace = "tasks-trace" // a sleepable program does
	StrategySync       = "sync"        // map_free itself waits
	StrategyNone       = "none"        // nothing is freed that is of interest
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

// Result is what an instance did.
type Result struct {
	Ops uint64
	// LastPuts is how many watched maps lost their last reference.
	LastPuts uint64
	// OpNS has the latency of each operation in nanoseconds: from its
	// intended start in an open loop, from its start in a closed one.
	OpNS []int64
	// Loop is "open" or "closed".
	Loop string
	// Interrupted says that ctx ended it before its count or duration.
	Interrupted bool
	// Metrics are the figures that are no operation's latency, by name; a
	// name has no comma and no space.
	Metrics map[string]Metric
	// HeldUntilNS is when the reader that --hold-reader holds for each
	// operation left its section, in nanoseconds of CLOCK_MONOTONIC; 0: there
	// was none.
	HeldUntilNS []int64
	// Failures are what the workload found to be wrong with the kernel, one
	// line each: the run fails, and its figures are kept.
	Failures []string
	// Findings are what it found to be so, one line each.
	Findings []string
	// Warnings say what its figures can't be trusted for.
	Warnings []string
}

// Metric holds the single values of a figure, in the order measured.
type Metric struct {
	Values []float64
	// Unit is "ns/op", "ns", "bytes", or what else the values are.
	Unit string
	// How says how it was measured, where that needs saying.
	How string
	// Difference says that it is one of two measurements, which noise can make
	// negative.
	Difference bool
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

// Tracer times, in the kernel, the calls of the function that looks a map up.
type Tracer interface {
	// Time runs f and keeps how long each call of function for m took
	// while the probe was attached, under name. It is when f begins. f
	// returns how many calls it has caused with it. Where the function can't
	// be timed, f does not run.
	Time(name, function string, m *ebpf.Map, f func(Probe) (calls uint64, err error)) error
	// Calls runs f and returns, under each name, the calls of a function
	// meanwhile, by any thread: of the first one in its list that this kernel
	// has. Where none can be timed, there are none, and a warning.
	Calls(functions map[string][]string, f func() error) (map[string]Calls, error)
	// PageTime runs f and returns how long this thread was in a function that
	// prepares pages, in what f has watched. That function is the first in the
	// list that is seen to prepare all pages that try makes the kernel
	// allocate; try returns how many these are, and f how many it needs. Where
	// there is none, it is by samples of where the thread was in f.
	PageTime(functions []PageFunction, try func() (pages uint64, err error), f func(watch Watch) (pages uint64, err error)) (PageTime, error)
}

// Calls are calls of a function of the kernel, fentry to fexit.
type Calls struct {
	Function string
	List     []Call
	Unseen   uint64 // how many more ended
}

// Call is one of them, by CLOCK_MONOTONIC.
type Call struct {
	TID            int
	BeginNS, EndNS int64
}

// Watch runs f while a tracer watches this thread.
type Watch func(f func() error) error

// Probe is a pair of programs that can be away for a while; what they counted
// stays. No call that it times may be under way then. Neither method does
// anything where it has been done.
type Probe interface {
	Detach() error
	Attach() error
}

// PageFunction is a function of the kernel that prepares pages. Its second
// argument is their number, or the logarithm of that.
type PageFunction struct {
	Name    string
	ByOrder bool
	// Sampled says that it is in assembly, which no probe sees: all of
	// these that samples find count.
	Sampled bool
}

// PageTime is how long a thread was in a function that prepares pages.
type PageTime struct {
	Share float64 // of f, where it is by samples; else 0
	NS    float64 // where it is by calls
	How   string
	// Why says why neither can be had; then the rest is empty.
	Why string
}

// Traced is an Instance that has calls to be timed; SetTracer comes before
// Run.
type Traced interface {
	Instance
	SetTracer(t Tracer)
}

// Description is what is known of a workload without making one.
type Description struct {
	Name, Summary string
	New           func() Workload
}

var registry []Description

func register(d Description) {
	registry = append(registry, d)
	slices.SortFunc(registry, func(a, b Description) int { return strings.Compare(a.Name, b.Name) })
}

// All lists the workloads by name.
func All() []Description { return slices.Clone(registry) }

// UnknownError is returned for a name that isn't registered.
type UnknownError struct {
	What, Name string
	Known      []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("unknown %s %q (known: %s)", e.What, e.Name, strings.Join(e.Known, ", "))
}

// Find finds a workload by name.
func Find(name string) (Description, error) {
	var names []string
	for _, d := range registry {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return Description{}, &UnknownError{"workload", name, names}
}

// CheckStrategy says whether w can arrange a strategy.
func CheckStrategy(w Workload, strategy string) error {
	if slices.Contains(w.Strategies(), strategy) {
		return nil
	}
	return &UnknownError{"strategy", strategy, w.Strategies()}
}

var instances atomic.Uint32

// uniqueName makes a map name (at most 15 bytes) that no other instance of
// this process or another has, so that what an earlier one left in limbo isn't
// taken for its own.
func uniqueName(base string) string {
	return fmt.Sprintf("%.8s_%04x%02x", base, os.Getpid()&0xffff, instances.Add(1)&0xff)
}
