// SPDX-License-Identifier: Apache-2.0

package workloads

// The ways to an element.
const (
	pathSyscall      = "syscall"
	pathHelper       = "helper"
	pathInlined      = "inlined"
	pathPerCPUHelper = "percpu-helper"
	pathBatch        = "batch"
	pathMmap         = "mmap" // of an array with BPF_F_MMAPABLE
)

// The types of maps, as parameters name them.
const (
	mapArray       = "array"
	mapPerCPUArray = "percpu-array"
	mapHash        = "hash"
	mapLRUHash     = "lru-hash"
	outerArray     = "array-of-maps"
	outerHash      = "hash-of-maps"
)

// The orders in which elements are taken.
const (
	patternSequential = "sequential"
	patternRandom     = "random"
	patternStride     = "stride"
	patternHot        = "hot"
)

// patterns lists the orders.
var patterns = []string{patternSequential, patternRandom, patternStride, patternHot}
