// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

// The ways to an element.
const (
	PathSyscall      = "syscall"
	PathHelper       = "helper"
	PathInlined      = "inlined"
	PathPerCPUHelper = "percpu-helper"
	PathBatch        = "batch"
	PathCall         = "call" // of no element: of a helper
	PathMmap         = "mmap" // of an array with BPF_F_MMAPABLE
)

// The types of maps, as parameters name them.
const (
	MapArray       = "array"
	MapPerCPUArray = "percpu-array"
	MapHash        = "hash"
	MapLRUHash     = "lru-hash"
	OuterArray     = "array-of-maps"
	OuterHash      = "hash-of-maps"
)

// The orders in which elements are taken.
const (
	PatternSequential = "sequential"
	PatternRandom     = "random"
	PatternStride     = "stride"
	PatternHot        = "hot"
)

// Patterns lists the orders.
var Patterns = []string{PatternSequential, PatternRandom, PatternStride, PatternHot}
