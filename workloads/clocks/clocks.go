// SPDX-License-Identifier: Apache-2.0

//go:build linux

package clocks

import (
	"context"
	"errors"
	"fmt"

	"github.com/cilium/ebpf/asm"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

const (
	// batch is how many reads are timed together.
	batch = 4096
	// minCount is 24 batches.
	minCount = 100_000
)

// clock is a helper that reads one.
type clock struct {
	name   string
	helper asm.BuiltinFunc
}

var clocks = []clock{{"ktime", asm.FnKtimeGetNs}, {"jiffies64", asm.FnJiffies64}}

func init() {
	workloads.Register(workloads.Description{
		Name:    "clocks",
		Summary: "reads the clocks that a probe may read, and says what one read costs",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload reads one clock after the other.
type Workload struct{ Count uint64 }

// AddFlags registers the parameters.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	fs.Uint64Var(&w.Count, "count", 200_000, "reads of each clock")
}

// Strategies lists the only one: nothing is freed.
func (w *Workload) Strategies() []string { return []string{results.StrategyNone} }

// Check validates the parameters.
func (w *Workload) Check(strategy string) error {
	if err := workloads.CheckStrategy(w, strategy); err != nil {
		return err
	}
	if w.Count < minCount || w.Count > 1<<40 {
		return fmt.Errorf("--count must be from %d to 2^40", minCount)
	}
	return nil
}

// CheckTarget refuses a kernel without bpf_jiffies64.
func (w *Workload) CheckTarget(_ string, t workloads.Target) error {
	if t.Before(5, 6) {
		return errors.New("it has no bpf_jiffies64 (5.6, 5576b991e9c1)")
	}
	return nil
}

// MemoryBytes implements Workload: programs.
func (w *Workload) MemoryBytes(string, int) uint64 { return mapops.TracerBytes }

// Setup loads a loop for each clock.
func (w *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if err := w.Check(strategy); err != nil {
		return nil, err
	}
	return newInstance(w)
}
