// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"fmt"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/target"
)

// Fit makes a target fit for a job with any of the strategies, before anything boots:
// a VM whose memory nobody set has as much as the job takes. What can't fit is a
// *target.MachineError, the mistake of who asked for it; a host without room for
// the VM is a *target.MemoryError.
func Fit(where target.Target, job trial.Job, strategies []string) error {
	vm, booted := where.(*target.VM)
	cpus := 0
	if booted {
		cpus = vm.Machine.WithDefaults().CPUs
	}
	for _, job.Strategy = range strategies {
		for _, kernel := range where.Kernels() {
			if err := job.CheckTarget(kernel, cpus); err != nil {
				return &target.MachineError{Reason: fmt.Sprintf("kernel %s: %v", kernel, err)}
			}
		}
	}
	if booted {
		deaths, err := job.Deaths()
		if err != nil {
			return err
		}
		if err := checkDeaths(deaths, &job.Options, vm); err != nil {
			return err
		}
		return fitMemory(&vm.Machine, job, strategies)
	}
	return nil
}
