// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"math/bits"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Sizes of the kernel's structs on x86-64, in bytes: the largest of 5.10 to 7.2.
const (
	arrayHeader   = 384 // struct bpf_array, bpf_dtab and their like
	hashHeader    = 1024
	hashBucket    = 16
	hashElement   = 48 // struct htab_elem
	lruLocalLists = 192
	pointerBytes  = 8
	pageBytes     = 4096
)

// MapBytes is how much memory a kernel takes for a map with all its elements, in
// bytes: no less than it does take, and for maps of more than some pages no more
// than a few percent above that. cpus is how many CPUs the kernel can have.
func MapBytes(spec *ebpf.MapSpec, cpus int) uint64 {
	n, perCPU := uint64(spec.MaxEntries), uint64(max(1, cpus))
	key, value := Stride(uint64(spec.KeySize)), Stride(uint64(spec.ValueSize))
	switch spec.Type {
	case ebpf.Array:
		if spec.Flags&unix.BPF_F_MMAPABLE != 0 {
			return allocated(pageBytes + roundUpPages(n*value))
		}
		return allocated(arrayHeader + n*value)
	case ebpf.PerCPUArray:
		return allocated(arrayHeader+n*pointerBytes) + n*perCPUBytes(value, perCPU)
	case ebpf.Hash, ebpf.HashOfMaps, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash:
		return hashBytes(spec, n, key, value, perCPU)
	case ebpf.ArrayOfMaps, ebpf.DevMap, ebpf.CPUMap, ebpf.XSKMap, ebpf.SockMap, ebpf.ReusePortSockArray, ebpf.ProgramArray, ebpf.PerfEventArray, ebpf.CGroupArray:
		return allocated(arrayHeader + n*pointerBytes)
	case ebpf.DevMapHash:
		return allocated(arrayHeader) + allocated(powerOfTwo(n)*pointerBytes)
	case ebpf.RingBuf:
		return allocated(arrayHeader) + allocated(n+4*pageBytes)
	case ebpf.Queue, ebpf.Stack:
		return allocated(arrayHeader + (n+1)*value)
	case ebpf.Arena:
		return allocated(arrayHeader) + n*(pageBytes+pointerBytes)
	case ebpf.LPMTrie:
		// An element has at most one node without a value beside its own.
		return allocated(arrayHeader) + 2*n*allocated(40+key+value)
	}
	// Any other: what a hash with single elements takes.
	return allocated(hashHeader) + allocated(powerOfTwo(n)*hashBucket) + n*allocated(2*hashElement+key+value)
}

// hashBytes is MapBytes of hashes.
func hashBytes(spec *ebpf.MapSpec, n, key, value, cpus uint64) uint64 {
	lru := spec.Type == ebpf.LRUHash || spec.Type == ebpf.LRUCPUHash
	perCPU := spec.Type == ebpf.PerCPUHash || spec.Type == ebpf.LRUCPUHash
	element := hashElement + key + value
	if perCPU {
		element = hashElement + key + pointerBytes
	}
	total := allocated(hashHeader) + allocated(hashBucket*powerOfTwo(n)) + cpus*(32+pointerBytes)
	if lru {
		total += cpus * lruLocalLists
		n = (n + cpus - 1) / cpus * cpus
	} else {
		n += cpus // one each, for an update of a full map
	}
	if perCPU {
		total += n * perCPUBytes(value, cpus)
	}
	if spec.Flags&unix.BPF_F_NO_PREALLOC != 0 {
		return total + n*allocated(element)
	}
	return total + allocated(n*element)
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
