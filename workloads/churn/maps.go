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
		return nil, i.outerError(err)
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

// lookups is a program that looks up slot 0 of the outer map and a key of zeros in
// the inner map found there. Not every inner map can be looked up by a program of
// these types, and a key must fit the stack; else it ends at the outer map.
func (i *instance) lookups() asm.Instructions {
	insns := asm.Instructions{
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, i.outer.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
	}
	const outerKey, stack = 4, 512
	if rest := roundUp4(i.inner.KeySize) - outerKey; i.cfg.innerKind().LooksUp && rest+outerKey <= stack {
		insns = append(insns, asm.JEq.Imm(asm.R0, 0, "out"))
		if rest > 0 {
			insns = append(insns, asm.Mov.Imm(asm.R1, 0))
		}
		for at := int32(0); at < int32(rest); at += 4 {
			insns = append(insns, asm.StoreMem(asm.RFP, int16(-outerKey-4-at), asm.R1, asm.Word))
		}
		insns = append(insns,
			asm.Mov.Reg(asm.R1, asm.R0),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -outerKey-int32(rest)),
			asm.FnMapLookupElem.Call(),
		)
	}
	return append(insns,
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
}

func roundUp4(n uint32) uint32 { return (n + 3) &^ 3 }

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
