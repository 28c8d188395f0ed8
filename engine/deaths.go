// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"fmt"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/target"
)

// deathBytes is what a death takes in a deaths file at most: 22 to 50 bytes were
// measured.
const deathBytes = 64

// checkDeaths refuses a job whose single deaths would be more than a guest may send,
// a *target.MachineError.
func checkDeaths(n uint64, o *trial.Options, vm *target.VM) error {
	most := uint64(vm.Limits.WithDefaults().FileBytes) / deathBytes
	if !o.NoDeaths && o.DeathsLimit > most {
		return &target.MachineError{Reason: fmt.Sprintf("--deaths-limit %d is more than a VM may send one by one (at most %d)", o.DeathsLimit, most)}
	}
	if o.NoDeaths || n <= most {
		return nil
	}
	return &target.MachineError{Reason: fmt.Sprintf("%d deaths are more than a VM may send one by one (at most %d; use --no-deaths, which keeps their figures, or a smaller --count)", n, most)}
}
