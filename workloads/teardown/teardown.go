// SPDX-License-Identifier: Apache-2.0

//go:build linux

package teardown

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

const (
	outerHashNoPrealloc = "hash-of-maps-noprealloc"

	// maxInner bounds how many maps wait to die at once.
	maxInner = 1 << 17
)

var outers = []string{mapops.OuterArray, mapops.OuterHash, outerHashNoPrealloc}

func init() {
	workloads.Register(workloads.Description{
		Name:    "teardown",
		Summary: "lets an outer map die with its inner maps, after updates that fail",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload fills an outer map, updates it, and closes it.
type Workload struct {
	Outer      string
	InnerCount uint32
	Updates    uint32

	onSetup func(done, total uint64)
}

// AddFlags registers the parameters.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&w.Outer, "outer", mapops.OuterArray, "outer map: "+strings.Join(outers, ", "))
	flagvalue.SetKnown(fs, "outer", outers...)
	fs.Uint32Var(&w.InnerCount, "inner-count", 64, "inner maps that die with the outer one")
	fs.Uint32Var(&w.Updates, "updates", 20, "updates that fail, of each kind, and as many that don't")
}

// Strategies lists the only one: the kernel chooses.
func (w *Workload) Strategies() []string { return []string{results.StrategyAny} }

// Check validates the parameters.
func (w *Workload) Check(strategy string) error {
	if err := errors.Join(workloads.CheckStrategy(w, strategy), flagvalue.OneOf("outer", w.Outer, outers...)); err != nil {
		return err
	}
	switch {
	case w.InnerCount < 1 || w.InnerCount > maxInner:
		return fmt.Errorf("--inner-count must be from 1 to %d", maxInner)
	case w.Updates < 1 || w.Updates > 1000:
		return errors.New("--updates must be from 1 to 1000")
	}
	return nil
}

// Deaths implements Counted: the inner maps, and the one that was taken out.
func (w *Workload) Deaths() uint64 { return uint64(w.InnerCount) + 1 }

// OnSetup implements SlowSetup.
func (w *Workload) OnSetup(progress func(done, total uint64)) { w.onSetup = progress }

// SetupWithin implements SlowSetup: an update waits for a grace period, which those of
// fillThreads share.
func (w *Workload) SetupWithin() time.Duration {
	return time.Minute + time.Duration(w.InnerCount)*10*time.Millisecond
}

// MemoryBytes implements Workload: all inner maps, alive or in limbo, and two more.
func (w *Workload) MemoryBytes(_ string, cpus int) uint64 {
	const perID = 8
	inner := mapops.MapBytes(w.innerSpec(), cpus)
	return mapops.MapBytes(w.outerSpec(), cpus) + mapops.TimesBytes(uint64(w.InnerCount)+3, inner+perID) +
		fillThreads*mapops.ThreadBytes + mapops.TracerBytes
}

func (w *Workload) innerSpec() *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: "mp_tear", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 16}
}

// outerSpec has a slot for each inner map, and the last for the one that is taken out.
func (w *Workload) outerSpec() *ebpf.MapSpec {
	spec := &ebpf.MapSpec{Name: "mp_outer", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: w.InnerCount + 1, InnerMap: w.innerSpec()}
	if w.Outer != mapops.OuterArray {
		spec.Type = ebpf.HashOfMaps
	}
	if w.Outer == outerHashNoPrealloc {
		spec.Flags = unix.BPF_F_NO_PREALLOC
	}
	return spec
}

// Setup makes and fills the outer map.
func (w *Workload) Setup(ctx context.Context, strategy string) (workloads.Instance, error) {
	cpus, err := mapops.Ready(w, strategy)
	if err != nil {
		return nil, err
	}
	return newInstance(ctx, w, cpus)
}
