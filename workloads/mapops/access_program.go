// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// ProgramAccess reaches elements from BPF, one in each run of a program.
type ProgramAccess struct {
	path        string
	reads, puts *ebpf.Program
	state       *ebpf.Map
}

// The value of its state.
const (
	accessIndex = 0
	accessFirst = 8
	accessLast  = 16
	accessFound = 24
	accessBytes = 32
)

// NewProgramAccess loads programs that reach elements, of valueSize bytes, by a
// path that BPF has.
func NewProgramAccess(path string, maps LoopMaps, valueSize uint32) (_ *ProgramAccess, err error) {
	a := &ProgramAccess{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.state, err = ebpf.NewMap(&ebpf.MapSpec{Name: "mp_access", Type: ebpf.Array, KeySize: 4, ValueSize: accessBytes, MaxEntries: 1}); err != nil {
		return nil, fmt.Errorf("create state of a program: %w", err)
	}
	if a.reads, err = a.program(maps, valueSize, false); err != nil {
		return nil, err
	}
	a.puts, err = a.program(maps, valueSize, true)
	return a, err
}

func (a *ProgramAccess) program(maps LoopMaps, valueSize uint32, write bool) (*ebpf.Program, error) {
	s := LoopSpec{Path: a.path, Maps: maps}
	find, err := s.lookup()
	if err != nil {
		return nil, err
	}
	insns := asm.Instructions{
		asm.LoadMem(asm.R9, asm.R1, 0, asm.Word),
		asm.LoadMapValue(asm.R6, a.state.FD(), 0),
		asm.LoadMem(asm.R1, asm.R6, accessIndex, asm.Word),
		asm.StoreMem(asm.RFP, keyAt, asm.R1, asm.Word),
		asm.StoreImm(asm.RFP, outerKeyAt, 0, asm.Word),
	}
	insns = append(insns, s.choose("begin")...)
	find[0] = find[0].WithSymbol("begin")
	insns = append(insns, find...)
	insns = append(insns, asm.JEq.Imm(asm.R0, 0, "out"))
	lastAt := int32(valueSize - 8)
	if write {
		insns = append(insns,
			asm.LoadMem(asm.R1, asm.R6, accessFirst, asm.DWord),
			asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
			asm.Add.Imm(asm.R0, lastAt),
			asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord))
	} else {
		insns = append(insns,
			asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
			asm.StoreMem(asm.R6, accessFirst, asm.R1, asm.DWord),
			asm.Add.Imm(asm.R0, lastAt),
			asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
			asm.StoreMem(asm.R6, accessLast, asm.R1, asm.DWord))
	}
	insns = append(insns,
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreMem(asm.R6, accessFound, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return())
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "mp_access", Type: ebpf.SocketFilter, Instructions: insns, License: "Dual BSD/GPL"})
	if err != nil {
		return nil, fmt.Errorf("load program that reaches elements by %s: %w", a.path, err)
	}
	return prog, nil
}

func (a *ProgramAccess) Name() string { return a.path }

func (a *ProgramAccess) run(prog *ebpf.Program, state *[accessBytes / 8]uint64) error {
	if err := a.state.Put(uint32(0), state); err != nil {
		return err
	}
	if _, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
		return err
	}
	if err := a.state.Lookup(uint32(0), state); err != nil {
		return err
	}
	if state[accessFound/8] == 0 {
		return errors.New("the program found no such element")
	}
	return nil
}

func (a *ProgramAccess) Write(index uint32, stamp uint64) error {
	return a.run(a.puts, &[accessBytes / 8]uint64{uint64(index), stamp})
}

func (a *ProgramAccess) Read(index uint32) (first, last uint64, err error) {
	state := [accessBytes / 8]uint64{uint64(index)}
	err = a.run(a.reads, &state)
	return state[accessFirst/8], state[accessLast/8], err
}

// Close unloads the programs, which hold the array.
func (a *ProgramAccess) Close() error {
	errs := []error{}
	for _, p := range []*ebpf.Program{a.reads, a.puts} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	if a.state != nil {
		errs = append(errs, a.state.Close())
	}
	return errors.Join(errs...)
}
