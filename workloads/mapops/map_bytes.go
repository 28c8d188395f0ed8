// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"math/bits"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/internal/mapmemory"
)

const (
	pointerBytes  = 8
	pageBytes     = 4096
	lruLocalLists = 192 // on each CPU
	// inStore is how many free elements bpf_mem_alloc keeps at hand on each CPU.
	inStore = 96
	// arenaTables are the page tables of the 4 GiB of addresses that an arena has
	// in the kernel.
	arenaTables = 4 << 30 / pageBytes * pointerBytes
)

// largestStruct is the size of a struct of the kernel's on x86-64, in bytes: the
// largest of 5.10 to 7.2.
func largestStruct(name string) uint64 {
	switch name {
	case "bpf_htab":
		return 1024
	case "bpf_local_storage_map", "bpf_arena":
		return 512
	case "htab_elem":
		return hashElement
	case "lpm_trie_node":
		return 40
	case "bucket", "stack_map_bucket", "bpf_shtab_bucket", "bpf_local_storage_map_bucket":
		return 16
	case "hlist_head":
		return 8
	}
	return 384 // struct bpf_array, bpf_dtab and their like
}

const hashElement = 48 // struct htab_elem

// MapBytes is how much memory a kernel takes for a map with all its elements, in
// bytes: no less than it does take, and for maps of more than some pages no more
// than a few percent above that. cpus is how many CPUs the kernel can have.
func MapBytes(spec *ebpf.MapSpec, cpus int) uint64 {
	return MapBytesHolding(spec, uint64(spec.MaxEntries), cpus)
}

// MapBytesHolding is MapBytes of a map that has so many elements, which matters
// where it allocates them one by one.
func MapBytesHolding(spec *ebpf.MapSpec, elements uint64, cpus int) uint64 {
	perCPU := uint64(max(1, cpus))
	lru := spec.Type == ebpf.LRUHash || spec.Type == ebpf.LRUCPUHash
	parts := mapmemory.AppendParts(nil, mapmemory.Map{
		Type: uint32(spec.Type), Flags: spec.Flags, Key: spec.KeySize, Value: spec.ValueSize, Entries: spec.MaxEntries,
		Elements: elements, ExtraElements: !lru,
	}, mapmemory.Kernel{CPUs: perCPU, PageSize: pageBytes, Struct: largestStruct, Locks: 8})
	if len(parts) == 0 {
		return unknownBytes(spec)
	}
	total := uint64(0)
	for _, p := range parts {
		each := allocated(p.Bytes)
		if p.PerCPU {
			each = perCPUBytes(p.Bytes, perCPU)
		}
		total += TimesBytes(p.Count, each)
	}
	element := allocated(hashElement + pointerBytes + Stride(uint64(spec.KeySize)) + Stride(uint64(spec.ValueSize)))
	switch {
	case lru:
		total += perCPU * lruLocalLists
	case spec.Type == ebpf.LPMTrie:
		// An element has at most one node without a value beside its own.
		total += TimesBytes(elements, element) + perCPU*inStore*element
	case spec.Flags&mapmemory.FlagNoPrealloc != 0 && (spec.Type == ebpf.Hash || spec.Type == ebpf.PerCPUHash):
		total += perCPU * inStore * element
	case spec.Type == ebpf.Arena:
		total += arenaTables + TimesBytes(elements, pageBytes+pointerBytes)
	}
	return min(total, MostBytes)
}

// unknownBytes is what a hash with single elements takes.
func unknownBytes(spec *ebpf.MapSpec) uint64 {
	n, key, value := uint64(spec.MaxEntries), Stride(uint64(spec.KeySize)), Stride(uint64(spec.ValueSize))
	return allocated(largestStruct("bpf_htab")) + allocated(powerOfTwo(n)*largestStruct("bucket")) + n*allocated(2*hashElement+key+value)
}

// perCPUBytes is what a value takes that every CPU has one of. The allocator's
// own books come to an eighth at most.
func perCPUBytes(value, cpus uint64) uint64 { return (value + value/8 + 1) * cpus }

// allocated is what an allocation of n bytes takes: kmalloc rounds up to the
// sizes that it has, vmalloc to pages, each with a pointer and a page-table
// entry. bpf_map_area_alloc() takes vmalloc past 8 pages.
func allocated(n uint64) uint64 {
	switch {
	case n > 8*pageBytes:
		return roundUpPages(n) / pageBytes * (pageBytes + 2*pointerBytes)
	case n > 64 && n <= 96:
		return 96
	case n > 128 && n <= 192:
		return 192
	}
	return max(8, powerOfTwo(n))
}

// MostBytes is more than any machine has: where an estimate ends.
const MostBytes = 1 << 50

// TimesBytes is n times that many bytes, MostBytes at most.
func TimesBytes(n, bytes uint64) uint64 {
	if high, low := bits.Mul64(n, bytes); high == 0 && low < MostBytes {
		return low
	}
	return MostBytes
}

func roundUpPages(n uint64) uint64 { return (n + pageBytes - 1) &^ (pageBytes - 1) }

func powerOfTwo(n uint64) uint64 {
	if n <= 1 {
		return 1
	}
	return 1 << bits.Len64(n-1)
}
