// SPDX-License-Identifier: Apache-2.0

//go:build linux

package special

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// What a program allocates by bpf_obj_new (958cf2e273f0, 6.2) has a type of the program's
// own. A map holds it in a list (f0c5941ff5b2, 6.2) or by a pointer (738c96d5e2e3, 6.4), if
// its values' types are the same object of the kernel's as the program's. The library makes
// an object for each, so that maps and program are made here, by bpf(2).

// nodeName is a type that no kernel has: of one that it has, it would be the kernel's.
const nodeName = "mp_special_node"

// localFields makes maps whose values hold what the program allocates, and fills them.
type localFields struct {
	spec      *ebpf.MapSpec
	types     *btf.Handle
	intType   btf.TypeID
	valueType btf.TypeID
	nodeType  btf.TypeID
	fillType  btf.TypeID
	valueSize uint32
	headAt    int32 // of the list in a value, after a spin lock; 0: it is a pointer
	kfuncs    map[string]btf.TypeID
	template  *ebpf.Map
	outer     *ebpf.Map
	state     *ebpf.Map // the element that is filled next, and how many were
	fill      *ebpf.Program
}

// kernelStruct is a struct of this kernel's types.
func kernelStruct(kernel *btf.Spec, name string) (*btf.Struct, error) {
	var s *btf.Struct
	if err := kernel.TypeByName(name, &s); err != nil {
		return nil, fmt.Errorf("find struct %s in the kernel's types: %w", name, err)
	}
	return s, nil
}

func newLocalFields(w *Workload, spec *ebpf.MapSpec) (_ *localFields, err error) {
	l := &localFields{spec: spec, kfuncs: map[string]btf.TypeID{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's types: %w", err)
	}
	if err := l.loadTypes(kernel, w.Field == fieldList); err != nil {
		return nil, err
	}
	if l.template, err = l.newMap("mp_template"); err != nil {
		return nil, err
	}
	outer := mapAttr{mapType: unix.BPF_MAP_TYPE_ARRAY_OF_MAPS, keySize: 4, valueSize: 4, maxEntries: 1, innerFD: uint32(l.template.FD())}
	if l.outer, err = outer.create("mp_outer"); err != nil {
		return nil, fmt.Errorf("an outer map of such maps: %w", err)
	}
	if l.state, err = ebpf.NewMap(&ebpf.MapSpec{Name: "mp_state", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return nil, err
	}
	if l.fill, err = l.loadProgram(); err != nil {
		return nil, fmt.Errorf("load the program that fills maps: %w", err)
	}
	return l, nil
}

// loadTypes gives the kernel the types of a value, of what it holds, and of the program.
func (l *localFields) loadTypes(kernel *btf.Spec, list bool) error {
	number := &btf.Int{Name: "unsigned int", Size: 4, Encoding: btf.Unsigned}
	node := &btf.Struct{Name: nodeName, Size: 8, Members: []btf.Member{{Name: "number", Type: number}}}
	value := &btf.Struct{Name: "mp_special_value", Size: 8, Members: []btf.Member{
		{Name: "node", Type: &btf.Pointer{Target: &btf.TypeTag{Value: "kptr", Type: node}}},
	}}
	names := [][]string{{"bpf_obj_new_impl", "bpf_obj_new"}, {"bpf_obj_drop_impl", "bpf_obj_drop"}}
	if list {
		names = append(names, []string{"bpf_list_push_back_impl", "bpf_list_push_back"})
		lock, err := kernelStruct(kernel, "bpf_spin_lock")
		if err != nil {
			return err
		}
		head, err := kernelStruct(kernel, "bpf_list_head")
		if err != nil {
			return err
		}
		link, err := kernelStruct(kernel, "bpf_list_node")
		if err != nil {
			return err
		}
		node.Size, node.Members = link.Size+8, []btf.Member{{Name: "link", Type: link}, {Name: "number", Type: number, Offset: btf.Bits(8 * link.Size)}}
		l.headAt = 8
		value.Size, value.Members = uint32(l.headAt)+head.Size, []btf.Member{
			{Name: "lock", Type: lock},
			{Name: "head", Type: head, Offset: btf.Bits(8 * l.headAt), Tags: []string{"contains:" + nodeName + ":link"}},
		}
	}
	l.valueSize = value.Size
	for _, alike := range names {
		var found *btf.Func
		err := errors.New("none")
		for _, name := range alike {
			if err = kernel.TypeByName(name, &found); err == nil {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("find %s in the kernel's types: %w", alike[0], err)
		}
		id, err := kernel.TypeID(found)
		if err != nil {
			return err
		}
		l.kfuncs[alike[0]] = id
	}
	fill := &btf.Func{Name: "mp_fill", Linkage: btf.GlobalFunc, Type: &btf.FuncProto{
		Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
		Params: []btf.FuncParam{{Name: "ctx", Type: &btf.Pointer{Target: &btf.Struct{Name: "__sk_buff"}}}},
	}}
	b, err := btf.NewBuilder(nil, nil)
	if err != nil {
		return err
	}
	for _, t := range []struct {
		id *btf.TypeID
		of btf.Type
	}{{&l.intType, number}, {&l.valueType, value}, {&l.nodeType, node}, {&l.fillType, fill}} {
		if *t.id, err = b.Add(t.of); err != nil {
			return err
		}
	}
	if l.types, err = btf.NewHandle(b); err != nil {
		return fmt.Errorf("load types: %w", err)
	}
	return nil
}

// mapAttr is what BPF_MAP_CREATE takes.
type mapAttr struct {
	mapType, keySize, valueSize, maxEntries, flags, innerFD, node uint32
	name                                                          [16]byte
	ifindex, btfFD, keyType, valueType                            uint32
}

func (a *mapAttr) create(name string) (*ebpf.Map, error) {
	copy(a.name[:len(a.name)-1], name)
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(a)), unsafe.Sizeof(*a))
	if errno != 0 {
		return nil, fmt.Errorf("create %s map: %w (%s)", ebpf.MapType(a.mapType), errno, mapops.ErrnoName(errno))
	}
	return ebpf.NewMapFromFD(int(fd))
}

// newMap makes a map whose values have the field.
func (l *localFields) newMap(name string) (*ebpf.Map, error) {
	a := mapAttr{mapType: uint32(l.spec.Type), keySize: 4, valueSize: l.valueSize, maxEntries: l.spec.MaxEntries,
		btfFD: uint32(l.types.FD()), keyType: uint32(l.intType), valueType: uint32(l.valueType)}
	return a.create(name)
}

// instructions put one object into the next element of the map in the outer map's slot.
func (l *localFields) instructions(state, outer int) asm.Instructions {
	const key, slot, value = -4, -8, -64
	kfunc := func(name string) asm.Instruction {
		return asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: int64(l.kfuncs[name])}
	}
	insns := asm.Instructions{
		asm.LoadMapValue(asm.R6, state, 0),
		asm.LoadMem(asm.R7, asm.R6, 0, asm.Word),
		asm.StoreMem(asm.RFP, key, asm.R7, asm.Word),
		asm.Add.Imm(asm.R7, 1),
		asm.StoreMem(asm.R6, 0, asm.R7, asm.Word),
		asm.StoreImm(asm.RFP, slot, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, outer),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, slot),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R7, asm.R0),
	}
	// A hash has the element only then.
	insns = append(insns, asm.Mov.Imm(asm.R1, 0))
	for at := range l.valueSize / 8 {
		insns = append(insns, asm.StoreMem(asm.RFP, value+int16(8*at), asm.R1, asm.DWord))
	}
	insns = append(insns,
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, key),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, value),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, key),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.LoadImm(asm.R1, int64(l.nodeType), asm.DWord), asm.Mov.Imm(asm.R2, 0),
		kfunc("bpf_obj_new_impl"),
		asm.JEq.Imm(asm.R0, 0, "out"),
	)
	if l.headAt > 0 {
		insns = append(insns,
			asm.Mov.Reg(asm.R9, asm.R0),
			asm.Mov.Reg(asm.R1, asm.R8), asm.FnSpinLock.Call(),
			asm.Mov.Reg(asm.R1, asm.R8), asm.Add.Imm(asm.R1, l.headAt),
			asm.Mov.Reg(asm.R2, asm.R9), asm.Mov.Imm(asm.R3, 0), asm.Mov.Imm(asm.R4, 0),
			kfunc("bpf_list_push_back_impl"),
			asm.Mov.Reg(asm.R1, asm.R8), asm.FnSpinUnlock.Call(),
		)
	} else {
		insns = append(insns,
			asm.Mov.Reg(asm.R1, asm.R8), asm.Mov.Reg(asm.R2, asm.R0), asm.FnKptrXchg.Call(),
			asm.JEq.Imm(asm.R0, 0, "filled"),
			asm.Mov.Reg(asm.R1, asm.R0), asm.Mov.Imm(asm.R2, 0),
			kfunc("bpf_obj_drop_impl"),
		)
	}
	return append(insns,
		asm.LoadMem(asm.R7, asm.R6, 4, asm.Word).WithSymbol("filled"),
		asm.Add.Imm(asm.R7, 1),
		asm.StoreMem(asm.R6, 4, asm.R7, asm.Word),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
}

// programAttr is the part of union bpf_attr that BPF_PROG_LOAD takes here.
type programAttr struct {
	programType, count                       uint32
	instructions, license                    uint64
	logLevel, logSize                        uint32
	log                                      uint64
	version, flags                           uint32
	name                                     [16]byte
	ifindex, attachType, btfFD, functionSize uint32
	functions                                uint64
	functionCount, lineSize                  uint32
}

// loadProgram loads the program with the maps' types.
func (l *localFields) loadProgram() (*ebpf.Program, error) {
	var code bytes.Buffer
	if err := l.instructions(l.state.FD(), l.outer.FD()).Marshal(&code, binary.LittleEndian); err != nil {
		return nil, err
	}
	license, log := []byte("Dual BSD/GPL\x00"), make([]byte, 1<<20)
	functions := []uint32{0, uint32(l.fillType)} // the first instruction, and its function
	address := func(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }
	attr := programAttr{
		programType: uint32(ebpf.SchedCLS), count: uint32(code.Len() / asm.InstructionSize), instructions: address(unsafe.Pointer(&code.Bytes()[0])),
		license: address(unsafe.Pointer(&license[0])), logLevel: 1, logSize: uint32(len(log)), log: address(unsafe.Pointer(&log[0])),
		btfFD: uint32(l.types.FD()), functionSize: 8, functions: address(unsafe.Pointer(&functions[0])), functionCount: 1,
	}
	copy(attr.name[:], "mp_fill")
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(&code)
	runtime.KeepAlive(license)
	runtime.KeepAlive(functions)
	if errno != 0 {
		text, _, _ := bytes.Cut(log, []byte{0})
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		return nil, fmt.Errorf("%w: %s", errno, bytes.Join(lines[max(0, len(lines)-4):], []byte("; ")))
	}
	return ebpf.NewProgramFromFD(int(fd))
}

// fillElements fills the first n elements of the map in the outer map's slot.
func (l *localFields) fillElements(n uint32) error {
	if err := l.state.Put(uint32(0), [2]uint32{}); err != nil {
		return err
	}
	if _, err := l.fill.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: n}); err != nil {
		return fmt.Errorf("fill %d elements: %w", n, err)
	}
	var state [2]uint32
	if err := l.state.Lookup(uint32(0), &state); err != nil {
		return err
	}
	if state[1] != n {
		return fmt.Errorf("fill %d elements: %d were", n, state[1])
	}
	return nil
}

// otherTypes says what the kernel does with a map in the outer map whose values are the
// same, of another object: a program would take what is in one for what is in the other
// (c22dfdd21592, 6.2).
func (l *localFields) otherTypes() (_ string, err error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return "", fmt.Errorf("read the kernel's types: %w", err)
	}
	other := &localFields{spec: l.spec, kfuncs: map[string]btf.TypeID{}}
	defer func() { err = errors.Join(err, other.Close()) }()
	if err := other.loadTypes(kernel, l.headAt > 0); err != nil {
		return "", err
	}
	if other.template, err = other.newMap("mp_other"); err != nil {
		return "", err
	}
	const found = "an inner map with types of another BTF object: "
	switch err := l.outer.Put(uint32(0), other.template); {
	case err == nil:
		return found + "taken", l.outer.Delete(uint32(0))
	case mapops.Refused(err):
		return found + "refused (" + mapops.ErrnoName(err) + ")", nil
	default:
		return "", err
	}
}

// Close drops all of it.
func (l *localFields) Close() error {
	var errs []error
	if l.fill != nil {
		errs = append(errs, l.fill.Close())
	}
	for _, m := range []*ebpf.Map{l.outer, l.template, l.state} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	if l.types != nil {
		errs = append(errs, l.types.Close())
	}
	return errors.Join(errs...)
}
