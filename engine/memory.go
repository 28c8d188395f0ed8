// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"errors"
	"fmt"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/target"
)

// fitMemory gives a machine without a size the memory that a job takes with any of
// the strategies, DefaultMemory at least. It refuses one that is too small, a
// *target.MachineError, and one that this host has no room for, a
// *target.MemoryError.
func fitMemory(vm *target.Machine, job trial.Job, strategies []string) error {
	var takes uint64
	for _, job.Strategy = range strategies {
		bytes, err := job.MemoryBytes(max(2, vm.CPUs))
		if err != nil {
			return err
		}
		takes = max(takes, bytes)
	}
	need := machineMemory(takes)
	text := func(bytes uint64) string {
		size := flagvalue.Size((bytes + 1<<20 - 1) >> 20 << 20)
		return size.String()
	}
	switch {
	case vm.MemoryBytes == 0:
		vm.MemoryBytes = max(target.DefaultMemory, need)
		err := target.CheckHostMemory(vm.MemoryBytes)
		if host, ok := errors.AsType[*target.MemoryError](err); ok {
			host.Hint = "make the workload's maps smaller"
			return fmt.Errorf("--workload %s takes up to %s of memory beside the kernel: %w", job.Workload, text(takes), err)
		}
		return err
	case roomIn(vm.MemoryBytes) < takes:
		return &target.MachineError{Reason: fmt.Sprintf(
			"--memory %s is too little: --workload %s takes up to %s beside the kernel (leave --memory out, use %s, or make its maps smaller)",
			text(vm.MemoryBytes), job.Workload, text(takes), text(need))}
	}
	return nil
}

// What is not a trial's of a machine's memory: the kernel, the initramfs, this
// program with the kernel's types decoded, a struct page for every page, and what the
// kernel keeps free. That is much from 512 MiB on, where it has transparent huge
// pages. When the least was left of a trial of churn on 5.10, 6.1, 6.12 and 7.2, all
// this with the tracer's maps was 123 to 163 MiB of 512 MiB, 205 to 265 of 1 GiB, 420
// to 470 of 6 GiB.
const (
	hugePages = 512 << 20 // the machine from which the kernel has them
	baseSmall = 160 << 20 // without them; and 1/64 for the struct pages
	baseLarge = 256 << 20 // with them; and 1/24
)

// roomIn is how much of a machine's memory is a trial's, in bytes.
func roomIn(memory uint64) uint64 {
	if memory <= hugePages {
		return memory - min(memory, baseSmall+memory/64)
	}
	return memory - min(memory, baseLarge+memory/24)
}

// machineMemory is how much memory a machine must have for a trial to have that
// much, in bytes.
func machineMemory(takes uint64) uint64 {
	const unit = 64 << 20
	up := func(bytes uint64) uint64 { return (bytes + unit - 1) / unit * unit }
	takes = min(takes, 1<<50) // more than there is
	if need := up((takes + baseSmall) * 64 / 63); need <= hugePages {
		return need
	}
	return up((takes + baseLarge) * 24 / 23)
}
