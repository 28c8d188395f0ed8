// SPDX-License-Identifier: Apache-2.0

//go:build linux

package programs

import (
	"context"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Bounds on what is asked for. The kernel takes 256 functions of one program
// (BPF_MAX_SUBPROGS).
const (
	maxFunctions = 255
	maxCount     = 30
)

func init() {
	workloads.Register(workloads.Description{
		Name:    "programs",
		Summary: "loads, traces, replaces and unloads programs with functions",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload loads a program with global functions and one with static ones, traces and
// replaces a function, and unloads what it has loaded.
type Workload struct {
	Globals uint32
	Count   uint32
}

// AddFlags registers the parameters.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	fs.Uint32Var(&w.Globals, "globals", 32, "functions of the program that is verified, global ones, then static ones")
	fs.Uint32Var(&w.Count, "count", 5, "how often each program is loaded and unloaded")
}

// Strategies lists the only one: the kernel chooses.
func (w *Workload) Strategies() []string { return []string{results.StrategyAny} }

// Check validates the parameters.
func (w *Workload) Check(strategy string) error {
	if err := workloads.CheckStrategy(w, strategy); err != nil {
		return err
	}
	switch {
	case w.Globals < 1 || w.Globals > maxFunctions:
		return fmt.Errorf("--globals must be from 1 to %d", maxFunctions)
	case w.Count < 1 || w.Count > maxCount:
		return fmt.Errorf("--count must be from 1 to %d", maxCount)
	}
	return nil
}

// Deaths implements Counted: each program's map dies with it.
func (w *Workload) Deaths() uint64 { return uint64(w.Count) * uint64(len(roles)) }

// verifierBytes is more than the kernel takes to verify a program, and than its image.
const verifierBytes = 64 << 20

// MemoryBytes implements Workload.
func (w *Workload) MemoryBytes(_ string, cpus int) uint64 {
	spec := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 512, MaxEntries: 1}
	return w.Deaths()*mapops.MapBytes(spec, cpus) + verifierBytes + mapops.TracerBytes
}

// Setup reads the programs, and loads none.
func (w *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if _, err := mapops.Ready(w, strategy); err != nil {
		return nil, err
	}
	return newInstance(w)
}
