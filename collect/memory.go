// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"os"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// A footprint computes what a map holds, with the formulas of the kernel's
// map_mem_usage callbacks (kernel 90a5527d7686, 6.4), which are static and
// gone with the map; the struct sizes are the running kernel's. Up to 5.10 the
// kernel keeps the number of pages that it charged, and that is used.
//
// Formulas: array_map_mem_usage (arraymap.c), htab_map_mem_usage (hashtab.c),
// dev_map_mem_usage (devmap.c). Elements that a map without preallocation
// holds are not known here; such a map is counted as empty.
type footprint struct {
	cpus     uint64
	pageSize uint64
	sizes    map[string]uint64
	// locks is HASHTAB_MAP_LOCK_COUNT: a hash map's counters per CPU that
	// 6.18's conversion to rqspinlock did away with, and that 5.10 hadn't yet.
	locks uint64
}

func newFootprint(layout probes.Layout, cpus int) footprint {
	f := footprint{cpus: uint64(cpus), pageSize: uint64(os.Getpagesize()), sizes: map[string]uint64{}}
	for _, name := range []string{"bpf_array", "bpf_htab", "bucket", "htab_elem", "bpf_dtab", "hlist_head"} {
		f.sizes[name] = layout.Size(name)
	}
	f.locks = layout.Elements("bpf_htab", "map_locked")
	return f
}

const (
	flagNoPrealloc  = 1 << 0
	flagNoCommonLRU = 1 << 1
	flagMmapable    = 1 << 10

	pointerSize = 8
)

// bytes returns the memory of a map in bytes; 0 for a type without a formula.
func (f footprint) bytes(e *probes.DeathEvent) uint64 {
	if e.MemoryPages != 0 {
		return e.MemoryPages * f.pageSize
	}
	entries, value, key := uint64(e.MaxEntries), roundUp8(uint64(e.ValueSize)), roundUp8(uint64(e.KeySize))
	switch e.MapType {
	case results.MapTypeArray, results.MapTypeArrayOfMaps:
		if e.MapFlags&flagMmapable != 0 {
			return f.pages(f.sizes["bpf_array"]) + f.pages(entries*value)
		}
		return f.sizes["bpf_array"] + entries*value
	case results.MapTypePerCPUArray:
		return f.sizes["bpf_array"] + entries*pointerSize + entries*value*f.cpus
	case results.MapTypeHash, results.MapTypePerCPUHash, results.MapTypeLRUHash, results.MapTypeLRUPerCPUHash, results.MapTypeHashOfMaps:
		return f.hash(e, entries, key, value)
	case results.MapTypeDevmap:
		return f.sizes["bpf_dtab"] + entries*pointerSize
	case results.MapTypeDevmapHash:
		return f.sizes["bpf_dtab"] + roundUpPow2(entries)*f.sizes["hlist_head"]
	}
	return 0
}

func (f footprint) hash(e *probes.DeathEvent, entries, key, value uint64) uint64 {
	prealloc := e.MapFlags&flagNoPrealloc == 0
	percpu := e.MapType == results.MapTypePerCPUHash || e.MapType == results.MapTypeLRUPerCPUHash
	lru := e.MapType == results.MapTypeLRUHash || e.MapType == results.MapTypeLRUPerCPUHash
	elem := f.sizes["htab_elem"] + key
	if percpu {
		elem += pointerSize
	} else {
		elem += value
	}
	total := f.sizes["bpf_htab"] + f.sizes["bucket"]*roundUpPow2(entries) + 4*f.cpus*f.locks
	if !prealloc {
		return total
	}
	// LRU maps round the entries up to one list per CPU; others may have an
	// extra element per CPU, which those of maps have lost by 7.2.
	if lru && e.MapFlags&flagNoCommonLRU != 0 {
		entries = (entries + f.cpus - 1) / f.cpus * f.cpus
	}
	n := entries
	if e.ExtraElems != 0 {
		n += f.cpus
	}
	total += elem * n
	if percpu {
		total += value * f.cpus * n
	} else if !lru {
		total += pointerSize * f.cpus
	}
	return total
}

func (f footprint) pages(n uint64) uint64 {
	return (n + f.pageSize - 1) / f.pageSize * f.pageSize
}

func roundUp8(n uint64) uint64 { return (n + 7) &^ 7 }

func roundUpPow2(n uint64) uint64 {
	p := uint64(1)
	for p < n {
		p <<= 1
	}
	return p
}
