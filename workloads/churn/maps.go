// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"context"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/hold"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// instance holds the maps and programs of one trial.
type instance struct {
	cfg      *Workload
	strategy string
	inner    *ebpf.MapSpec
	outer    *ebpf.Map     // nil for immediate
	holder   *ebpf.Program // the sleepable program that uses outer
	readers  *ebpf.Program
	held     *hold.Reader
	unused   []*ebpf.Map // made for an operation that never began; no deaths of the measured part
	note     string
	record   func(ns int64) // how long an operation took
}

// otherFiles is more than the files that a trial has open beside an operation's
// inner maps: its own maps, and the probes' programs, links and maps.
const otherFiles = 1024

// SetRecorder implements workloads.Recorded.
func (i *instance) SetRecorder(record func(ns int64)) { i.record = record }

func newInstance(ctx context.Context, c *Workload, strategy string) (_ *instance, err error) {
	i := &instance{cfg: c, strategy: strategy, inner: c.innerSpec(), record: func(int64) {}}
	defer func() {
		if err != nil {
			i.Close()
		}
	}()
	if strategy == results.StrategyImmediate {
		return i, nil
	}
	spec := c.outerSpec()
	spec.InnerMap = i.inner
	if i.outer, err = ebpf.NewMap(spec); err != nil {
		return nil, i.mapError(fmt.Sprintf("outer map (%s, %d slots)", c.Outer, c.Slots), err)
	}
	if strategy == results.StrategyTasksTrace {
		if err := i.loadSleeper(); err != nil {
			return nil, err
		}
	}
	if c.Readers > 0 {
		if err := i.loadReader(); err != nil {
			return nil, err
		}
	}
	if kind, lengths, err := hold.Parse(c.HoldReader); err != nil {
		return nil, err
	} else if i.held, err = hold.New(kind, lengths); err != nil {
		return nil, err
	}
	progress := c.onSetup
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	if err := mapops.ReserveFDs(uint64(c.Batch) + otherFiles); err != nil {
		return nil, err
	}
	return i, i.fill(ctx, progress)
}

func (c *Workload) outerSpec() *ebpf.MapSpec {
	spec := &ebpf.MapSpec{Name: "mp_outer", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: c.Slots}
	if c.Outer != mapops.OuterArray {
		spec.Type = ebpf.HashOfMaps
	}
	if c.Outer == outerHashNoPrealloc {
		spec.Flags = unix.BPF_F_NO_PREALLOC
	}
	return spec
}

func (c *Workload) innerSpec() *ebpf.MapSpec {
	spec := &ebpf.MapSpec{Name: mapops.UniqueName(innerName), KeySize: 4, ValueSize: c.InnerValueSize, MaxEntries: c.InnerEntries}
	switch c.Inner {
	case mapops.MapHash:
		spec.Type = ebpf.Hash
	case mapops.MapPerCPUArray:
		spec.Type = ebpf.PerCPUArray
	case mapops.MapLRUHash:
		spec.Type = ebpf.LRUHash
	case innerDevmap:
		spec.Type, spec.ValueSize = ebpf.DevMap, 4
	default:
		spec.Type = ebpf.Array
	}
	return spec
}

func (i *instance) newInner() (*ebpf.Map, error) {
	m, err := ebpf.NewMap(i.inner)
	if err != nil {
		return nil, i.mapError("inner map", err)
	}
	return m, nil
}

// mapError says what couldn't be made and what would help.
func (i *instance) mapError(what string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EPERM):
		// The library would advise about RLIMIT_MEMLOCK, which isn't it.
		err, hint = unix.EPERM, " (it needs root, or CAP_BPF; or try --target vm)"
	case errors.Is(err, unix.ENOMEM):
		hint = " (out of memory: give the target more --memory, or make the inner maps smaller)"
	case errors.Is(err, unix.E2BIG) && i.inner.ValueSize > 4<<20:
		hint = " (before 63b8ce77b15e an array's value has at most 4 MiB: try a smaller --inner-value-size)"
	case errors.Is(err, unix.E2BIG), errors.Is(err, unix.EINVAL):
		hint = " (is --inner-entries × --inner-value-size more than the kernel allows?)"
	}
	return fmt.Errorf("create %s, inner maps %s of %d × %d bytes: %w%s", what, i.inner.Type, i.inner.MaxEntries, i.inner.ValueSize, err, hint)
}

// insert puts a new inner map into a slot; the slot then has its only
// reference.
func (i *instance) insert(slot uint32) error {
	m, err := i.newInner()
	if err != nil {
		return err
	}
	defer m.Close()
	return i.update(slot, m)
}

func (i *instance) update(slot uint32, m *ebpf.Map) error {
	if err := i.outer.Update(slot, m, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("update slot %d of %s: %w", slot, i.cfg.Outer, err)
	}
	return nil
}

// loadSleeper loads a sleepable program that names the outer map, which is enough to
// raise its sleepable_refcnt (kernel af66bfd3c853, 6.8); it never runs, except
// as a reader. BPF_PROG_TYPE_SYSCALL came with 5.14 (79a7f8bdb159), maps of
// maps in sleepable programs with 5.12 (638e4b825d52).
func (i *instance) loadSleeper() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "mp_sleeper", Type: ebpf.Syscall, Flags: unix.BPF_F_SLEEPABLE,
		Instructions: i.lookups(), License: "Dual BSD/GPL",
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, ebpf.ErrNotSupported) {
		i.note = "strategy tasks-trace: this kernel has no sleepable program that can use a map of maps, so none holds the outer map; what was observed is the kernel's own choice"
		return nil
	}
	if err != nil {
		return fmt.Errorf("load sleepable program: %w", err)
	}
	i.holder = prog
	return nil
}

// loadReader loads what --readers run: with tasks-trace the sleepable program
// itself, else a socket filter, whose test runs are RCU readers.
func (i *instance) loadReader() error {
	if i.holder != nil {
		i.readers = i.holder
		return nil
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "mp_reader", Type: ebpf.SocketFilter, Instructions: i.lookups(), License: "Dual BSD/GPL",
	})
	if err != nil {
		return fmt.Errorf("load reader program: %w", err)
	}
	i.readers = prog
	return nil
}

// lookups is a program that looks up slot 0 of the outer map and key 0 of the
// inner map found there. A devmap can't be looked up by a program of these
// types; there it ends at the outer map.
func (i *instance) lookups() asm.Instructions {
	insns := asm.Instructions{
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, i.outer.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
	}
	if i.inner.Type != ebpf.DevMap {
		insns = append(insns,
			asm.JEq.Imm(asm.R0, 0, "out"),
			asm.Mov.Reg(asm.R1, asm.R0),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
		)
	}
	return append(insns,
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
}

// WatchPrefix starts the names of this instance's inner maps and of no others.
func (i *instance) WatchPrefix() string { return i.inner.Name }

// Note says what of the strategy could not be arranged; empty: nothing.
func (i *instance) Note() string { return i.note }

// Close drops the outer map with what is in it.
func (i *instance) Close() error {
	errs := []error{i.held.Close(), closeAll(i.unused)}
	if i.readers != nil && i.readers != i.holder {
		errs = append(errs, i.readers.Close())
	}
	if i.holder != nil {
		errs = append(errs, i.holder.Close())
	}
	if i.outer != nil {
		errs = append(errs, i.outer.Close())
	}
	i.readers, i.holder, i.outer, i.held, i.unused = nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
