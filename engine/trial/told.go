// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"fmt"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results/inventory"
	"github.com/mapprof/mapprof/workloads"
)

// tellHolders gives an instance that asks for it what tells who holds a map: the
// inventory of a recording. The caller closes it.
func tellHolders(instance workloads.Instance) (done func() error, err error) {
	if names, ok := instance.(workloads.Naming); ok {
		names.SetNames(nameAddresses)
	}
	asks, ok := instance.(workloads.Inquiring)
	if !ok {
		return func() error { return nil }, nil
	}
	_, symbols, err := collect.KernelAddresses()
	if err != nil {
		return nil, err
	}
	i, err := probes.NewInventory(symbols)
	if err != nil {
		asks.SetHolders(nil, err)
		return func() error { return nil }, nil
	}
	owners := collect.NewOwners(i, nil)
	asks.SetHolders(func(id uint32) (workloads.Holding, error) {
		m, unread, err := owners.HoldersOf(id)
		if err != nil || m == nil {
			return workloads.Holding{}, err
		}
		h := workloads.Holding{There: true, References: m.References, Unaccounted: m.Unaccounted, Unread: unread}
		for _, by := range m.Holders {
			h.Holders = append(h.Holders, workloads.Holder{Kind: by.Kind, Text: holderText(by)})
		}
		return h, nil
	}, nil)
	return i.Close, nil
}

func holderText(h inventory.Holder) string {
	switch h.Kind {
	case inventory.FD:
		return fmt.Sprintf("fd %d of %s", h.FD, h.Comm)
	case inventory.Mapping, inventory.Iterator:
		return h.Kind + " of " + h.Comm
	}
	return h.Kind + " " + h.Name
}

// nameAddresses names addresses by the kernel's symbols of now.
func nameAddresses(addrs []uint64) ([]string, error) {
	frames, err := kallsyms.Kernel(addrs)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(addrs))
	for _, a := range addrs {
		name := fmt.Sprintf("0x%x", a)
		if f, ok := frames[a]; ok {
			name = f.Function
		}
		names = append(names, name)
	}
	return names, nil
}

// conclude tells an instance of its maps' deaths.
func (m *Measurement) conclude(instance workloads.Instance) {
	c, ok := instance.(workloads.Concluded)
	if !ok {
		return
	}
	var deaths []workloads.Death
	for i := range m.Deaths {
		d := &m.Deaths[i]
		told := workloads.Death{MapID: d.MapID, PutNS: d.PutNS, FreedNS: d.FreedNS, Comm: d.Comm}
		for _, f := range m.Outcome.Stacks[d.Stack] {
			told.Stack = append(told.Stack, f.Function)
		}
		deaths = append(deaths, told)
	}
	c.Conclude(deaths, &m.Result)
}
