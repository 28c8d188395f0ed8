// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"fmt"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// foreign is what watching other programs' maps needs beside the probes. Its zero
// value watches a workload's own.
type foreign struct {
	inventory *probes.Inventory
	owners    *collect.Owners // nil: no owners are watched
}

func isForeign(instance workloads.Instance) bool {
	_, ok := instance.(workloads.Foreign)
	return ok
}

// others prepares for an instance whose maps are other programs', and says so in cfg.
func (m *Measurement) others(instance workloads.Instance, cfg *probes.Config) (foreign, error) {
	i, ok := instance.(workloads.Foreign)
	if !ok {
		return foreign{}, nil
	}
	i.SetOutput(m.env.Output())
	f, warnings, err := watchForeign(i.Filter(), cfg)
	m.Warnings = append(m.Warnings, warnings...)
	return f, err
}

// watchForeign prepares for maps that are other programs', and says so in cfg. What
// can't be told of them is a warning.
func watchForeign(filter workloads.Filter, cfg *probes.Config) (f foreign, warnings []string, err error) {
	callbacks, fileOperations, err := collect.KernelAddresses()
	if err != nil {
		return f, nil, err
	}
	cfg.Owners = &probes.Owners{PID: filter.PID, Callbacks: callbacks}
	if callbacks == [3]uint64{} {
		warnings = append(warnings, "the kernel tells no addresses (kernel.kptr_restrict): a map whose last two references are dropped at once counts as lost")
	}
	if f.inventory, err = probes.NewInventory(fileOperations); err != nil {
		warnings = append(warnings, fmt.Sprintf("no program is named that holds maps: %v", err))
		f.inventory = nil
	}
	f.owners = collect.NewOwners(f.inventory, func(d *results.Death, inTree bool) bool { return wants(&filter, d, inTree) })
	return f, warnings, nil
}

// exclude tells the probes which maps are mapprof's own.
func (f *foreign) exclude(p *probes.Probes) error {
	if f.owners == nil {
		return nil
	}
	return p.ExcludeOwn(f.inventory)
}

func (f *foreign) close() error {
	if f.inventory == nil {
		return nil
	}
	return f.inventory.Close()
}
