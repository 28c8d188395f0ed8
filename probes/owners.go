// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

// Owner is whose a map is; OwnedDeath is a death with it. events.bpf.h says what
// the fields mean.
type (
	Owner      = lifecycleOwner
	OwnedDeath = lifecycleOwnedDeath
)

// Flags of an Owner.
const (
	OwnerDeferKnown = uint32(lifecycleOwnerFlagOWNER_DEFER_KNOWN)
	OwnerDefer      = uint32(lifecycleOwnerFlagOWNER_DEFER)
	OwnerPutUnseen  = uint32(lifecycleOwnerFlagOWNER_PUT_UNSEEN)
	OwnerInTree     = uint32(lifecycleOwnerFlagOWNER_IN_TREE)
)

// Owners asks to keep whose each map is, of whatever program it is: who created it,
// the outer map that it was taken out of, who dropped it. The waits of every process
// in bpf(2) count then, and a death whose last put no CPU could tell from another's
// begins where it is enqueued. The tracer's own maps are known by their ids, and by
// the process that created them.
type Owners struct {
	// Maps is how many may be alive that were created, or taken out of an outer map,
	// while the tracer watched (default 65,536).
	Maps uint32
	// PID marks what this process and those that descend from it create or drop; 0:
	// nothing.
	PID uint32
	// Inventory, if any, has decoded the kernel's BTF, which takes memory and time.
	Inventory *Inventory
}

// FreeCallbacks are the functions by which a callback, or work, is known to be a
// map's.
var FreeCallbacks = [3]string{"bpf_map_free_deferred", "bpf_map_free_rcu_gp", "bpf_map_free_mult_rcu_gp"}

// waitsOfAll is WAITS_OF_ALL of death.bpf.h.
const waitsOfAll = ^uint32(0)

// Stages that the hooks on owners make visible.
const (
	StageCreate = "creator"
	StageTaken  = "outer map"
	// StageCgroup is no stage of a death: the paths of cgroups that are made.
	StageCgroup = "cgroup"
	// StagePrograms is no stage of a death: which sleepable programs use which maps.
	StagePrograms = "sleepable programs"
)

// ownerHooks are attached where owners are watched, beside the others. Without
// them a death is whole, and says less.
var ownerHooks = []hook{
	{stage: StageCreate, function: "bpf_map_init_from_attr", copies: 2, fentry: "fe_create"},
	{stage: StageCgroup, function: "cgroup_mkdir", fentry: "fe_cgroup"}, // the tracepoint of this name
	{stage: StagePrograms, function: "bpf_prog_kallsyms_add", fentry: "fe_prog_load"},
	{stage: StagePrograms, function: "bpf_prog_free_deferred", fentry: "fe_prog_free"},
	{stage: StageTaken, function: "bpf_map_fd_put_ptr", copies: 2, fentry: "fe_taken"},
}

// outerHooks are for kernels whose bpf_map_fd_put_ptr() doesn't say which outer map
// it is about (before 20c20bd11a13).
var outerHooks = []hook{
	{stage: StageTaken, function: "bpf_map_fd_put_ptr", copies: 2, fentry: "fe_taken_before"},
	{stage: StageTaken, function: "bpf_fd_array_map_update_elem", copies: 2, fentry: "fe_outer_array_update"},
	{stage: StageTaken, function: "bpf_fd_htab_map_update_elem", copies: 2, fentry: "fe_outer_hash_update"},
	{stage: StageTaken, function: "fd_array_map_delete_elem", copies: 2, fentry: "fe_outer_array_delete"},
	{stage: StageTaken, function: "htab_map_delete_elem", copies: 2, fentry: "fe_outer_hash_delete"},
}

// configureOwners sets what the programs need to know, or makes the tables small
// that nobody uses.
func configureOwners(spec *ebpf.CollectionSpec, cfg *Config) error {
	const unused = 128
	o := cfg.Owners
	if o == nil {
		spec.Maps[lifecycleMapMpfOwners].MaxEntries = unused
		spec.Maps[lifecycleMapMpfOuterNow].MaxEntries = unused
		return nil
	}
	if o.Maps == 0 {
		o.Maps = 65536
	}
	spec.Maps[lifecycleMapMpfOwners].MaxEntries = o.Maps
	var errs []error
	for name, v := range map[string]any{
		lifecycleVarWatchOwners: uint32(1), lifecycleVarWaitTgid: waitsOfAll, lifecycleVarOwnNames: lifecyclePrefix{},
		lifecycleVarOwnTgid: uint32(os.Getpid()), lifecycleVarWatchPid: o.PID,
	} {
		if err := spec.Variables[name].Set(v); err != nil {
			errs = append(errs, fmt.Errorf("set %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// ExcludeOwn tells the programs the ids of the tracer's maps, which it returns: of
// these probes, and of an inventory, if any.
func (p *Probes) ExcludeOwn(inventory *Inventory) ([]uint32, error) {
	ids, err := mapIDs(p.coll.Maps)
	if err != nil {
		return nil, err
	}
	if inventory != nil {
		more, err := inventory.own()
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	for _, id := range ids {
		if err := p.coll.Maps[lifecycleMapMpfOwn].Put(id, uint8(1)); err != nil {
			return nil, fmt.Errorf("exclude the tracer's own maps: %w", err)
		}
	}
	return ids, nil
}

// OwnerAt is what is kept of the map at an address.
func (p *Probes) OwnerAt(address uint64) (o Owner) {
	if err := p.coll.Maps[lifecycleMapMpfOwners].Lookup(address, &o); err != nil {
		return Owner{} // it has died meanwhile, or there was no room for it
	}
	return o
}
