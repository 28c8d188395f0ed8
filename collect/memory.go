// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"os"

	"github.com/mapprof/mapprof/internal/mapmemory"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// A footprint computes what a map holds: mapmemory's table with the structs of
// the running kernel. Up to 5.10 the kernel keeps the number of pages that it
// charged, and that is used; but not where it charged for elements that aren't there.
type footprint struct {
	kernel mapmemory.Kernel
	parts  []mapmemory.Part // used again for each map
}

func newFootprint(layout probes.Layout, cpus int) footprint {
	sizes := map[string]uint64{} // layout would keep the kernel's types in memory
	for _, name := range mapmemory.Structs {
		sizes[name] = layout.Size(name)
	}
	return footprint{kernel: mapmemory.Kernel{
		CPUs: uint64(cpus), PageSize: uint64(os.Getpagesize()), Locks: layout.Elements("bpf_htab", "map_locked"),
		Struct: func(name string) uint64 { return sizes[name] },
	}}
}

// bytes returns the memory of a map in bytes; 0 for a type without a formula.
func (f *footprint) bytes(e *probes.DeathEvent) uint64 {
	single := e.MapType == results.MapTypeLPMTrie || e.MapFlags&mapmemory.FlagNoPrealloc != 0 &&
		(e.MapType == results.MapTypeHash || e.MapType == results.MapTypePerCPUHash || e.MapType == results.MapTypeHashOfMaps)
	if e.MemoryPages != 0 && !single {
		return e.MemoryPages * f.kernel.PageSize
	}
	f.parts = mapmemory.AppendParts(f.parts[:0], mapmemory.Map{
		Type: e.MapType, Flags: e.MapFlags, Key: e.KeySize, Value: e.ValueSize, Entries: e.MaxEntries,
		Elements: uint64(e.Elements), ExtraElements: e.ExtraElems != 0,
	}, f.kernel)
	total := uint64(0)
	for _, p := range f.parts {
		if p.PerCPU {
			p.Count *= f.kernel.CPUs
		}
		total += p.Count * p.Bytes
	}
	return total
}
