// SPDX-License-Identifier: Apache-2.0

//go:build linux

package structops

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// maxCount bounds how many maps are registered one after the other.
const maxCount = 1 << 16

func init() {
	workloads.Register(workloads.Description{
		Name:    "structops",
		Summary: "registers struct_ops maps, unregisters them and lets them die",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload registers and unregisters one map after the other.
type Workload struct{ Count uint32 }

// AddFlags registers the parameters.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	fs.Uint32Var(&w.Count, "count", 20, "maps that are registered and die, one after the other")
}

// Strategies lists the only one: the kernel chooses.
func (w *Workload) Strategies() []string { return []string{results.StrategyAny} }

// Check validates the parameters.
func (w *Workload) Check(strategy string) error {
	if err := workloads.CheckStrategy(w, strategy); err != nil {
		return err
	}
	if w.Count < 1 || w.Count > maxCount {
		return fmt.Errorf("--count must be from 1 to %d", maxCount)
	}
	return nil
}

// CheckTarget refuses a kernel without struct_ops maps.
func (w *Workload) CheckTarget(_ string, t workloads.Target) error {
	if t.Before(5, 6) {
		return errors.New("it has no struct_ops maps (they came with 5.6, 85d33df357b6)")
	}
	return nil
}

// Deaths implements Counted.
func (w *Workload) Deaths() uint64 { return uint64(w.Count) }

// mapBytes is more than a map takes: its value twice, and pages for trampolines.
const mapBytes = 64 << 10

// MemoryBytes implements Workload: a map may be freed while the next is registered.
func (w *Workload) MemoryBytes(string, int) uint64 {
	return uint64(w.Count)*mapBytes + mapops.TracerBytes
}

// Setup loads the programs that the maps consist of.
func (w *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if _, err := mapops.Ready(w, strategy); err != nil {
		return nil, err
	}
	return newInstance(w)
}
