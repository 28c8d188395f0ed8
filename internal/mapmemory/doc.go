// SPDX-License-Identifier: Apache-2.0

// Package mapmemory is the one table of the allocations that a BPF map consists of.
//
// In: a map's type, flags and sizes, how many elements it has allocated one by one,
// and the sizes of the kernel's structs. Out: its allocations. The collector adds
// them up with the running kernel's structs, as map_mem_usage does; workloads add
// what allocators round up to, with the largest structs of all kernels, to say before
// a boot what a map can take.
//
// It imports results alone, asks no kernel, and is safe for concurrent use.
package mapmemory
