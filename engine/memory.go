// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"fmt"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/target"
)

// CheckMemory refuses a machine that is too small for a workload, before it boots.
// That is the user's mistake.
func CheckMemory(name string, w any, vm *target.Machine) error {
	sized, ok := w.(interface{ MemoryBytes(cpus int) uint64 })
	if !ok {
		return nil
	}
	takes, memory := sized.MemoryBytes(max(2, vm.CPUs)), vm.MemoryBytes
	if memory == 0 {
		memory = target.DefaultMemory
	}
	// What a kernel, its initramfs and the tracer have taken when the
	// workload begins, and what a kernel keeps free.
	enough := takes + takes/32 + 320<<20
	if takes == 0 || memory >= enough {
		return nil
	}
	const unit = 256 << 20
	need, have, want := flagvalue.Size((takes+1<<20-1)>>20<<20), flagvalue.Size(memory), flagvalue.Size((enough+unit-1)/unit*unit)
	return fmt.Errorf("--workload %s takes %s of memory with these sizes, and the VM has %s (use --memory %s, or a smaller --size)",
		name, &need, &have, &want)
}
