// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// LoopSpec says what a loop in BPF does for each of its elements.
type LoopSpec struct {
	Path              string // empty: nothing, the empty loop
	Elements          int    // in one run
	Maps              LoopMaps
	Keys              KeySequence
	ExtraInstructions float64 // instructions more for each, a slowdown of known size
	Write             bool    // update (path helper), or store to what was found, in place of reading it
	// Call is a helper without arguments to call, by path call: CallsInTurn times for
	// each element, since one inlined call is shorter than what a turn varies by.
	Call asm.BuiltinFunc
}

// CallsInTurn is how many calls a turn has, by path call.
const CallsInTurn = 16

// LoopMaps are the maps that a loop looks up.
type LoopMaps struct {
	Map   *ebpf.Map // has the elements; nil where the outer one leads to them
	Outer *ebpf.Map // leads to them by its key 0; nil: there is none
	Other *ebpf.Map // of the same kind as the one looked up by path helper
}

// Loop is a program that takes n elements and the time of that. One goroutine at
// a time.
type Loop struct {
	n     int
	prog  *ebpf.Program
	state *ebpf.Map
}

// The value of a loop's state: where it goes on, and how long it took.
const (
	stateNext    = 0
	stateElapsed = 8
	stateMissed  = 16
	stateBytes   = 24
)

var errLoopPath = errors.New("no loop in BPF for this path")

// NewLoop loads a program that is
//
//	begin = ktime
//	n times: key = next(), look it up, read its first byte
//	elapsed = ktime - begin
//
// with a fixed n, which kernels before bpf_loop (5.17) verify too. What the
// compiler of the kernel makes of the lookup depends on the path: a map that
// the program names is looked up inline where its type has that; one of two
// maps that the verifier can't tell apart, by the helper, and so is an inner
// array with BPF_F_INNER_MAP.
func NewLoop(s LoopSpec) (_ *Loop, err error) {
	state, err := ebpf.NewMap(&ebpf.MapSpec{Name: "mp_loop", Type: ebpf.Array, KeySize: 4, ValueSize: stateBytes, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("create state of a loop: %w", err)
	}
	l := &Loop{n: s.Elements, state: state}
	if s.Path == PathCall {
		l.n *= CallsInTurn
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	turn, err := s.turn()
	if err != nil {
		return nil, err
	}
	insns := asm.Instructions{
		// The packet's length: nothing that the verifier knows.
		asm.LoadMem(asm.R9, asm.R1, 0, asm.Word),
		asm.LoadMapValue(asm.R6, state.FD(), 0),
		asm.LoadMem(asm.R7, asm.R6, stateNext, asm.DWord),
		asm.StoreImm(asm.RFP, outerKeyAt, 0, asm.Word),
		asm.StoreImm(asm.RFP, keyAt, 0, asm.Word),
		asm.FnKtimeGetNs.Call(),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.StoreMem(asm.R6, stateElapsed, asm.R8, asm.DWord),
		asm.Mov.Imm(asm.R8, 0),
	}
	insns = append(insns, s.choose("again")...)
	body := s.Keys.instructions(keyAt)
	body = append(body, turn...)
	body[0] = body[0].WithSymbol("again")
	insns = append(insns, body...)
	insns = append(insns,
		asm.Add.Imm(asm.R8, 1),
		asm.JLT.Imm(asm.R8, int32(s.Elements), "again"))
	insns = append(insns, padding(s.ExtraInstructions, s.Elements)...)
	insns = append(insns,
		asm.FnKtimeGetNs.Call(),
		asm.LoadMem(asm.R1, asm.R6, stateElapsed, asm.DWord),
		asm.Sub.Reg(asm.R0, asm.R1),
		asm.StoreMem(asm.R6, stateElapsed, asm.R0, asm.DWord),
		asm.StoreMem(asm.R6, stateNext, asm.R7, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
		asm.LoadMem(asm.R1, asm.R6, stateMissed, asm.DWord).WithSymbol("missed"),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R6, stateMissed, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	)
	l.prog, err = LoadOnOnePage(&ebpf.ProgramSpec{
		Name: "mp_lookups", Type: ebpf.SocketFilter, Instructions: insns, License: "Dual BSD/GPL",
	})
	if err != nil {
		return nil, fmt.Errorf("load loop of lookups (%s): %w", s.Path, err)
	}
	return l, nil
}

// Where programs keep their keys, from RFP.
const (
	keyAt      = -4
	outerKeyAt = -8
)

// choose puts one of two maps into R9, for path helper, by what only the
// running program knows: R9 has the length of a packet that is never 2^20
// bytes. It ends at the label.
func (s *LoopSpec) choose(label string) asm.Instructions {
	if s.Path != PathHelper || s.Maps.Outer != nil || s.Write {
		return nil
	}
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R9),
		asm.LoadMapPtr(asm.R9, s.Maps.Map.FD()),
		asm.JNE.Imm(asm.R1, 1<<20, label),
		asm.LoadMapPtr(asm.R9, s.Maps.Other.FD()),
	}
}

// lookup leads from the key at keyAt to the element in R0, or 0.
func (s *LoopSpec) lookup() (asm.Instructions, error) {
	key := func(at int32) asm.Instructions {
		return asm.Instructions{asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, at)}
	}
	from := func(first asm.Instruction, at int32, then ...asm.Instruction) asm.Instructions {
		return append(append(asm.Instructions{first}, key(at)...), then...)
	}
	call := asm.FnMapLookupElem.Call()
	switch {
	case s.Maps.Outer != nil && (s.Path == PathInlined || s.Path == PathHelper):
		outer := from(asm.LoadMapPtr(asm.R1, s.Maps.Outer.FD()), outerKeyAt, call, asm.JEq.Imm(asm.R0, 0, "none"))
		inner := from(asm.Mov.Reg(asm.R1, asm.R0), keyAt, call)
		// Without an inner map R0 is 0 as if it lacked the element.
		return append(append(outer, inner...), asm.Mov.Reg(asm.R0, asm.R0).WithSymbol("none")), nil
	case s.Path == PathInlined:
		return from(asm.LoadMapPtr(asm.R1, s.Maps.Map.FD()), keyAt, call), nil
	case s.Path == PathHelper:
		return from(asm.Mov.Reg(asm.R1, asm.R9), keyAt, call), nil
	case s.Path == PathPerCPUHelper:
		return from(asm.LoadMapPtr(asm.R1, s.Maps.Map.FD()), keyAt, asm.Mov.Imm(asm.R3, 0), asm.FnMapLookupPercpuElem.Call()), nil
	}
	return nil, fmt.Errorf("%s: %w", s.Path, errLoopPath)
}

// turn is what a loop does with a key: find the element, and read or write a
// byte of it.
func (s *LoopSpec) turn() (asm.Instructions, error) {
	if s.Path == "" || s.Path == PathCall {
		turn := asm.Instructions{
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, keyAt),
			asm.JEq.Imm(asm.R9, 1<<20, "missed"),
			asm.LoadMem(asm.R0, asm.RFP, keyAt, asm.Byte),
		}
		if s.Path == PathCall {
			for range CallsInTurn {
				turn = append(turn, s.Call.Call())
			}
		}
		return turn, nil
	}
	if s.Write && s.Path == PathHelper {
		return asm.Instructions{
			asm.LoadMapPtr(asm.R1, s.Maps.Map.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, keyAt),
			asm.LoadMapValue(asm.R3, s.Maps.Other.FD(), 0),
			asm.Mov.Imm(asm.R4, 0),
			asm.FnMapUpdateElem.Call(),
			asm.JNE.Imm(asm.R0, 0, "missed"),
		}, nil
	}
	find, err := s.lookup()
	if err != nil {
		return nil, err
	}
	use := asm.LoadMem(asm.R0, asm.R0, 0, asm.Byte)
	if s.Write {
		use = asm.StoreMem(asm.R0, 0, asm.R8, asm.Byte)
	}
	return append(find, asm.JEq.Imm(asm.R0, 0, "missed"), use), nil
}

// Run takes n elements once and returns how long that took, in nanoseconds.
func (l *Loop) Run() (int64, error) {
	if _, err := l.prog.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
		return 0, fmt.Errorf("run loop of lookups: %w", err)
	}
	var state [stateBytes / 8]uint64
	if err := l.state.Lookup(uint32(0), &state); err != nil {
		return 0, fmt.Errorf("read state of a loop: %w", err)
	}
	if n := state[stateMissed/8]; n != 0 {
		return 0, fmt.Errorf("run loop of lookups: %d elements were not found", n)
	}
	return int64(state[stateElapsed/8]), nil
}

// Code is how long the program is that the kernel made of it: in BPF instructions, and in
// bytes of machine code, 0 where that is hidden or interpreted.
func (l *Loop) Code() (instructions int, jited uint32, err error) {
	info, err := l.prog.Info()
	if err != nil {
		return 0, 0, fmt.Errorf("read the length of a loop: %w", err)
	}
	bytes, err := info.TranslatedSize()
	if err != nil {
		return 0, 0, fmt.Errorf("read the length of a loop: %w", err)
	}
	jited, err = info.JitedSize()
	if errors.Is(err, ebpf.ErrNotSupported) {
		err = nil
	}
	return bytes / asm.InstructionSize, jited, err
}

// batch takes n elements once, timed together.
func (l *Loop) batch() (ns int64, n int, err error) {
	ns, err = l.Run()
	return ns, l.n, err
}

// Close unloads the program.
func (l *Loop) Close() error {
	var errs []error
	if l.prog != nil {
		errs = append(errs, l.prog.Close())
	}
	return errors.Join(append(errs, l.state.Close())...)
}

// padding is that many BPF instructions more for n lookups, none of which the
// kernel's compiler leaves out.
func padding(each float64, n int) asm.Instructions {
	insns := make(asm.Instructions, int(math.Round(each*float64(n))))
	for i := range insns {
		insns[i] = asm.Mov.Reg(asm.R1, asm.R7)
	}
	return insns
}
