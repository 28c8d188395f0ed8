// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -output-stem inventory -type map_item -type prog_item -type holder_item -type holder_kind inventory inventory.bpf.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu

// What an inventory tells of; inventory.bpf.c says what the fields mean.
type (
	MapItem     = inventoryMapItem
	ProgramItem = inventoryProgItem
	HolderItem  = inventoryHolderItem
)

// Kinds of a HolderItem.
const (
	HolderMap      = uint32(inventoryHolderKindHOLDER_MAP)
	HolderProgram  = uint32(inventoryHolderKindHOLDER_PROG)
	HolderLink     = uint32(inventoryHolderKindHOLDER_LINK)
	HolderMapping  = uint32(inventoryHolderKindHOLDER_MAPPING)
	HolderReader   = uint32(inventoryHolderKindHOLDER_READER)
	HolderRCU      = uint32(inventoryHolderKindHOLDER_RCU)
	HolderCPUs     = uint32(inventoryHolderKindHOLDER_CPUS)
	HolderSRCU     = uint32(inventoryHolderKindHOLDER_SRCU)
	HolderIterator = uint32(inventoryHolderKindHOLDER_ITERATOR)
)

// InventorySymbols are the kernel's symbols that an inventory needs to know: those by
// which a descriptor's kind is known, in the order of the kinds, where CPUs count
// elements by themselves, and the states of RCU and, since 7.0, of tasks-trace.
var InventorySymbols = [8]string{
	"bpf_map_fops", "bpf_prog_fops", "bpf_link_fops", "__per_cpu_offset",
	"rcu_state", "rcu_num_nodes", "rcu_num_lvls", "rcu_tasks_trace_srcu_struct",
}

// Inventory lists what there is on the kernel: maps, programs and who holds them,
// by iterators (since 5.8). Safe for use by one goroutine at a time.
type Inventory struct {
	coll  *ebpf.Collection
	types *btf.Cache // the kernel's BTF, decoded once
	links map[string]*link.Iter
	files bool // the descriptors can be told apart
}

// NewInventory loads the iterators. symbols are the addresses of InventorySymbols, 0
// where they aren't known: then no descriptor is listed.
func NewInventory(symbols [len(InventorySymbols)]uint64) (_ *Inventory, err error) {
	if err := mayLoad("iterators"); err != nil {
		return nil, err
	}
	spec, err := loadInventory()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF programs: %w", err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	for name, v := range map[string]any{
		inventoryVarFops:         [4]uint64{0, symbols[0], symbols[1], symbols[2]},
		inventoryVarPerCpuOffset: symbols[3], inventoryVarPossibleCpus: uint32(cpus), inventoryVarRcuStateAt: symbols[4],
		inventoryVarRcuNumNodesAt: symbols[5], inventoryVarRcuNumLvlsAt: symbols[6], inventoryVarSrcuAt: symbols[7],
	} {
		if err := spec.Variables[name].Set(v); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	types := btf.NewCache()
	if kernel, err := types.Kernel(); err == nil && !hasFunction(kernel, "bpf_iter_task_vma") {
		delete(spec.Programs, inventoryProgEachMapping)
	}
	inv := &Inventory{types: types, links: map[string]*link.Iter{}, files: symbols[0] != 0 && symbols[1] != 0}
	if inv.coll, err = ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{Cache: inv.types}); err != nil {
		return nil, &UnsupportedError{Function: "iterators", Err: shorten(err)}
	}
	for name, prog := range inv.coll.Programs {
		if inv.links[name], err = link.AttachIter(link.IterOptions{Program: prog}); err != nil {
			return nil, errors.Join(&UnsupportedError{Function: "iterators", Err: shorten(err)}, inv.Close())
		}
	}
	return inv, nil
}

// hasFunction tells whether a kernel has a function.
func hasFunction(kernel *btf.Spec, name string) bool {
	var f *btf.Func
	return kernel.TypeByName(name, &f) == nil
}

// own are the ids of the inventory's maps.
func (i *Inventory) own() ([]uint32, error) { return mapIDs(i.coll.Maps) }

// Maps calls f for each map that there is.
func (i *Inventory) Maps(f func(*MapItem)) error { return each(i.links[inventoryProgEachMap], f) }

// Programs calls f for each program that there is.
func (i *Inventory) Programs(f func(*ProgramItem)) error {
	return each(i.links[inventoryProgEachProg], f)
}

// SeesHolders tells whether descriptors can be told apart.
func (i *Inventory) SeesHolders() bool { return i.files }

// Holders calls f for each descriptor of a map, a program or a link, and then for each
// mapping of a map. It is called for none where they can't be told apart.
func (i *Inventory) Holders(f func(*HolderItem)) error {
	if !i.files {
		return nil
	}
	if err := each(i.links[inventoryProgEachFile], f); err != nil || !i.SeesMappings() {
		return err
	}
	return each(i.links[inventoryProgEachMapping], f)
}

// SeesMappings tells whether the kernel lists mappings (5.12).
func (i *Inventory) SeesMappings() bool { return i.links[inventoryProgEachMapping] != nil }

// Waits calls f for each task inside a tasks-trace read-side section, and last for the
// states of RCU, the CPUs that it waits for and SRCU where they are known.
func (i *Inventory) Waits(f func(*HolderItem)) error {
	return each(i.links[inventoryProgEachReader], f)
}

// each runs an iterator and hands on what it writes.
func each[T MapItem | ProgramItem | HolderItem](it *link.Iter, f func(*T)) (err error) {
	r, err := it.Open()
	if err != nil {
		return fmt.Errorf("run iterator: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	// An iterator gives at most what was asked for at once, and a whole item always.
	br := bufio.NewReaderSize(r, 64<<10)
	var item T
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&item)), unsafe.Sizeof(item))
	for {
		_, err := io.ReadFull(br, raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read iterator: %w", err)
		}
		f(&item)
	}
}

// Close takes the iterators away.
func (i *Inventory) Close() error {
	var errs []error
	for _, l := range i.links {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	i.coll.Close()
	return errors.Join(errs...)
}

// mapIDs are the ids of maps.
func mapIDs(maps map[string]*ebpf.Map) ([]uint32, error) {
	var ids []uint32
	for name, m := range maps {
		info, err := m.Info()
		if err != nil {
			return nil, fmt.Errorf("ask for the id of %s: %w", name, err)
		}
		if id, ok := info.ID(); ok {
			ids = append(ids, uint32(id))
		}
	}
	return ids, nil
}
