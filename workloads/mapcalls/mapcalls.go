// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapcalls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// mapTypes are those whose elements user space reads and writes.
var mapTypes = []ebpf.MapType{
	ebpf.Hash, ebpf.Array, ebpf.PerCPUHash, ebpf.PerCPUArray, ebpf.LRUHash, ebpf.LRUCPUHash, ebpf.LPMTrie, ebpf.ArrayOfMaps, ebpf.HashOfMaps,
}

var mapNames = mapops.KindNames(func(k mapops.Kind) bool { return slices.Contains(mapTypes, k.Type) })

// Bounds on what is asked for.
const (
	maxBatch = 256
	// maxElements bounds the elements of all calls of one kind: each may wait, and again
	// where it is put back, and a probe keeps 4096 waits of all kinds.
	maxElements = 400
)

func init() {
	workloads.Register(workloads.Description{
		Name:    "mapcalls",
		Summary: "makes bpf(2)'s calls for elements, single and batched, and counts their waits",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload makes calls on one map after the other.
type Workload struct {
	Maps  flagvalue.Names
	Ops   flagvalue.Names
	Batch uint32
	Count uint32
}

// AddFlags registers the parameters.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	w.Maps, w.Ops = flagvalue.Names{mapops.OuterArray, mapops.OuterHash}, opNames()
	fs.Var(&w.Maps, "map", "types of maps, one after the other: "+strings.Join(mapNames, ", "))
	fs.Var(&w.Ops, "op", "calls, one after the other: "+strings.Join(opNames(), ", "))
	flagvalue.SetKnown(fs, "map", mapNames...)
	flagvalue.SetKnown(fs, "op", opNames()...)
	fs.Uint32Var(&w.Batch, "batch", 32, "elements of a map, and of a batched call")
	fs.Uint32Var(&w.Count, "count", 5, "calls of each kind on each map")
}

// Strategies lists the only one: nothing is freed.
func (w *Workload) Strategies() []string { return []string{results.StrategyNone} }

// Check validates the parameters.
func (w *Workload) Check(strategy string) error {
	err := workloads.CheckStrategy(w, strategy)
	for _, m := range w.Maps {
		err = errors.Join(err, flagvalue.OneOf("map", m, mapNames...))
	}
	for _, op := range w.Ops {
		err = errors.Join(err, flagvalue.OneOf("op", op, opNames()...))
	}
	switch {
	case err != nil:
		return err
	case len(w.Maps) == 0 || len(w.Ops) == 0:
		return errors.New("--map and --op must name one each at least")
	case w.Batch < 1 || w.Batch > maxBatch:
		return fmt.Errorf("--batch must be from 1 to %d", maxBatch)
	case w.Count < 1 || w.Count > maxElements/w.Batch:
		return fmt.Errorf("--count must be from 1 to %d with --batch %d: each element may wait for a grace period", maxElements/w.Batch, w.Batch)
	}
	return nil
}

// MemoryBytes implements Workload: one map at a time, and its inner maps.
func (w *Workload) MemoryBytes(_ string, cpus int) uint64 {
	most := uint64(0)
	for _, name := range w.Maps {
		if k, ok := mapops.FindKind(name); ok {
			spec := w.spec(k)
			bytes := mapops.MapBytes(spec, cpus)
			if spec.InnerMap != nil {
				bytes += uint64(w.Batch+1) * mapops.MapBytes(spec.InnerMap, cpus)
			}
			most = max(most, bytes)
		}
	}
	return most + mapops.TracerBytes
}

// spec is a map of that kind with room for a batch.
func (w *Workload) spec(k mapops.Kind) *ebpf.MapSpec {
	entries := w.Batch
	switch k.Type {
	case ebpf.LRUHash, ebpf.LRUCPUHash:
		entries += lruSlack // its free elements are kept by CPU: a full one evicts
	case ebpf.LPMTrie:
		entries++ // 5.10 takes no update of a full one
	}
	return k.Spec("mp_calls", k.Key, k.Value, entries)
}

// lruSlack is more than free elements are kept on the CPUs that a target has.
const lruSlack = 128 * 64

// Setup reserves descriptors for inner maps: maps are made in turn.
func (w *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	cpus, err := mapops.Ready(w, strategy)
	if err == nil {
		err = mapops.ReserveFDs(maxBatch + otherFiles)
	}
	if err != nil {
		return nil, err
	}
	return &instance{cfg: w, cpus: cpus}, nil
}

// otherFiles is more than the files that a trial has open beside inner maps.
const otherFiles = 1024
