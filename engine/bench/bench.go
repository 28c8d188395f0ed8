// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/crossbuild"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/task"
	"github.com/spf13/pflag"
)

// The tasks of this package, each one boot.
const (
	taskHold      = "bench-hold"
	taskWatching  = "bench-watching"
	taskProbeCost = "bench-probe-cost"
	taskSteps     = "bench-steps"
	taskAttach    = "bench-attach"
)

// Handlers are the functions that do these tasks, by name.
func Handlers() task.Handlers {
	return task.Handlers{
		taskHold:      task.Handle(measureHolds),
		taskWatching:  task.Handle(measureWatching),
		taskProbeCost: task.Handle(measureProbeCosts),
		taskSteps:     task.Handle(measureSteps),
		taskAttach:    task.Handle(measureAttach),
	}
}

// Benchmark is one figure of what mapprof itself costs, with its parameters.
type Benchmark interface {
	// AddFlags registers the parameters with their defaults.
	AddFlags(fs *pflag.FlagSet)
	// Check validates them. Its error is the user's mistake.
	Check() error
	// Run measures, and returns a table as Markdown, which stands where err says
	// what of it is not as it must be, too.
	Run(ctx context.Context, on Machines) (table string, err error)
}

// Description is what is known of a benchmark without making one.
type Description struct {
	Name, Short string
	// Kernels are those that it measures on by default; none: they are its
	// arguments.
	Kernels []string
	// Machine is what they are booted on.
	Machine target.Machine
	// Accel and Clock say that the user may choose that.
	Accel, Clock bool
	New          func() Benchmark
}

// All lists the benchmarks.
func All() []Description {
	return []Description{
		{Name: "overhead", Short: "Measure what mapprof run costs beside its workload", Kernels: []string{"6.12"}, Machine: target.Machine{Accel: "tcg"}, Accel: true,
			New: func() Benchmark { return new(overhead) }},
		{Name: "probe-cost", Short: "Measure what probes on a lookup cost, in instructions", Kernels: []string{"6.12"},
			// The initramfs with bpftrace and its libraries is 250 MB, and it
			// needs half a gigabyte to compile.
			Machine: target.Machine{Clock: results.ClockICount, MemoryBytes: 3 << 30},
			New:     func() Benchmark { return new(probeCosts) }},
		{Name: "hold", Short: "Hold readers for known times and compare with what is measured", Kernels: []string{"6.12", "7.2"}, Accel: true,
			New: func() Benchmark { return new(heldReaders) }},
		{Name: "memory", Short: "Measure what more and more deaths take of memory", Kernels: []string{"6.12"},
			Machine: target.Machine{MemoryBytes: target.DefaultMemory}, New: func() Benchmark { return new(memory) }},
		{Name: "growth", Short: "Measure how the cost grows with scenarios, deaths, slots and CPUs", Kernels: []string{"6.12"},
			Machine: target.Machine{MemoryBytes: target.DefaultMemory, Clock: results.ClockICount}, New: func() Benchmark { return new(growth) }},
		{Name: "watching", Short: "Measure churn with probes and without, in turns", Kernels: []string{"6.12"}, Machine: target.Machine{Clock: results.ClockWall}, Accel: true, Clock: true,
			New: func() Benchmark { return new(watching) }},
		{Name: "matrix", Short: "Run every strategy of churn on each kernel and print one table",
			New: func() Benchmark { return new(matrix) }},
	}
}

// Machines are the kernels to measure on, and where to say how it goes.
type Machines struct {
	Kernels []string // as the user named them
	Arch    string   // theirs; empty: the images', else this machine's
	Machine target.Machine
	Offline bool // never use the network
	Stderr  io.Writer
}

// each does something on each of the kernels.
func (m *Machines) each(ctx context.Context, f func(t *target.VM, kernel string) error) error {
	for _, name := range m.Kernels {
		k, err := kernels.Resolve(ctx, name, kernels.Options{Offline: m.Offline, Arch: m.Arch})
		program := ""
		if err == nil {
			program, err = crossbuild.Program(ctx, k.Arch, crossbuild.Options{Offline: m.Offline, Say: func(line string) { fmt.Fprintln(m.Stderr, line) }})
		}
		if err == nil {
			err = f(&target.VM{Machine: m.Machine, Images: []kernels.Kernel{k}, Programs: map[string]string{k.Arch: program}}, name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// call does a task of this package on a target, and says how it goes.
func call[Reply any](ctx context.Context, m *Machines, t target.Target, kernel, name string, request any) (Reply, target.Outcome, error) {
	reply, done, err := target.Call[Reply](ctx, t, 0, target.Work{Task: name, Request: request,
		OnProgress: func(p task.Progress) { fmt.Fprintln(m.Stderr, p.Stage) }})
	for _, text := range done.Outcome.Warnings {
		fmt.Fprintf(m.Stderr, "warning: %s: %s\n", kernel, text)
	}
	return reply, done.Outcome, err
}

// say tells of progress where a stage is a sentence.
func say(env *task.Env, text string) { env.OnProgress(task.Progress{Stage: text}) }

// measure does one trial, without a directory, and keeps its deaths. Its probes
// are detached: more trials follow in the same boot.
func measure(ctx context.Context, j *trial.Job) (*trial.Measurement, error) {
	if j.DrainTimeout == 0 {
		j.DrainTimeout = trial.DefaultOptions().DrainTimeout
	}
	j.KeepEvents = true
	return trial.Measure(ctx, &task.Env{OnProgress: func(task.Progress) {}}, j)
}
