// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// InnerLookup looks up an index of the inner array that an outer map leads to, once
// in each run of a program. What is found past a bound is not read: a lookup that is
// wrong may lead anywhere. One goroutine at a time.
type InnerLookup struct {
	prog  *ebpf.Program
	state *ebpf.Map
}

// The value of its state.
const (
	innerIndex = 0
	innerBound = 8
	innerFound = 16
	innerValue = 24
	innerBytes = 32
)

// NewInnerLookup loads the program. By path inlined it names one outer map, and the
// kernel's compiler knows the inner map's template; by path helper it names one of
// two, which the verifier can't tell apart; path percpu-helper asks for CPU 0.
func NewInnerLookup(path string, outer, other *ebpf.Map) (_ *InnerLookup, err error) {
	l := &InnerLookup{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.state, err = ebpf.NewMap(&ebpf.MapSpec{Name: "mp_inner_look", Type: ebpf.Array, KeySize: 4, ValueSize: innerBytes, MaxEntries: 1}); err != nil {
		return nil, fmt.Errorf("create state of a program: %w", err)
	}
	insns := asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), // the packet's length, never 2^20
		asm.LoadMapValue(asm.R6, l.state.FD(), 0),
		asm.LoadMem(asm.R7, asm.R6, innerIndex, asm.Word),
		asm.StoreMem(asm.RFP, keyAt, asm.R7, asm.Word),
		asm.StoreImm(asm.RFP, outerKeyAt, 0, asm.Word),
		asm.LoadMapPtr(asm.R9, outer.FD()),
	}
	if path == PathHelper {
		insns = append(insns,
			asm.JNE.Imm(asm.R1, 1<<20, "look"),
			asm.LoadMapPtr(asm.R9, other.FD()))
	}
	call := asm.Instructions{asm.FnMapLookupElem.Call()}
	if path == PathPerCPUHelper {
		call = asm.Instructions{asm.Mov.Imm(asm.R3, 0), asm.FnMapLookupPercpuElem.Call()}
	}
	insns = append(insns,
		asm.Mov.Reg(asm.R1, asm.R9).WithSymbol("look"),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, outerKeyAt),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, keyAt))
	insns = append(insns, call...)
	insns = append(insns,
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreMem(asm.R6, innerFound, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, innerBound, asm.DWord),
		asm.JGE.Reg(asm.R7, asm.R1, "out"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.StoreMem(asm.R6, innerValue, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return())
	l.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: "mp_inner_look", Type: ebpf.SocketFilter, Instructions: insns, License: "Dual BSD/GPL"})
	if err != nil {
		return nil, fmt.Errorf("load program that looks up an inner map by %s: %w", path, err)
	}
	return l, nil
}

// Look says whether the index was found, and the first 8 bytes of its element if it
// is below the bound.
func (l *InnerLookup) Look(index, bound uint32) (found bool, value uint64, err error) {
	state := [innerBytes / 8]uint64{innerIndex / 8: uint64(index), innerBound / 8: uint64(bound)}
	if err := l.state.Put(uint32(0), &state); err != nil {
		return false, 0, err
	}
	if _, err := l.prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
		return false, 0, err
	}
	err = l.state.Lookup(uint32(0), &state)
	return state[innerFound/8] == 1, state[innerValue/8], err
}

// Close unloads the program.
func (l *InnerLookup) Close() error {
	var errs []error
	if l.prog != nil {
		errs = append(errs, l.prog.Close())
	}
	if l.state != nil {
		errs = append(errs, l.state.Close())
	}
	return errors.Join(errs...)
}
