// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// mmapAccess reaches elements by their address.
type mmapAccess struct {
	memory []byte
	stride uint64
	size   uint64
}

func (a *mmapAccess) name() string { return pathMmap }

func (a *mmapAccess) write(index uint32, stamp uint64) error {
	at := uint64(index) * a.stride
	binary.NativeEndian.PutUint64(a.memory[at:], stamp)
	binary.NativeEndian.PutUint64(a.memory[at+a.size-8:], stamp)
	return nil
}

func (a *mmapAccess) read(index uint32) (first, last uint64, err error) {
	at := uint64(index) * a.stride
	return binary.NativeEndian.Uint64(a.memory[at:]), binary.NativeEndian.Uint64(a.memory[at+a.size-8:]), nil
}

// syscallAccess reaches elements by bpf(2).
type syscallAccess struct{ call *elementCall }

func (a *syscallAccess) name() string { return pathSyscall }

func (a *syscallAccess) write(index uint32, stamp uint64) error {
	v := a.call.value
	binary.NativeEndian.PutUint64(v, stamp)
	binary.NativeEndian.PutUint64(v[len(v)-8:], stamp)
	return a.call.do(unix.BPF_MAP_UPDATE_ELEM, index)
}

func (a *syscallAccess) read(index uint32) (first, last uint64, err error) {
	err = a.call.do(unix.BPF_MAP_LOOKUP_ELEM, index)
	v := a.call.value
	return binary.NativeEndian.Uint64(v), binary.NativeEndian.Uint64(v[len(v)-8:]), err
}

// batchAccess reads the element that follows another one by bpf(2)'s batches,
// and writes one as a batch of one.
type batchAccess struct {
	fd    int
	attr  batchAttr
	words []uint32 // in, out, key
	value []byte
}

func (a *batchAccess) name() string { return pathBatch }

func (a *batchAccess) do(cmd uintptr, in bool) error {
	a.attr = batchAttr{out: address(unsafe.Pointer(&a.words[1])), keys: address(unsafe.Pointer(&a.words[2])),
		values: address(unsafe.Pointer(&a.value[0])), count: 1, fd: uint32(a.fd)}
	if in {
		a.attr.in = address(unsafe.Pointer(&a.words[0]))
	}
	_, _, errno := unix.RawSyscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&a.attr)), unsafe.Sizeof(a.attr))
	runtime.KeepAlive(a)
	if errno != 0 && errno != unix.ENOENT { // ENOENT: that was the last
		return errno
	}
	return nil
}

func (a *batchAccess) write(index uint32, stamp uint64) error {
	a.words[2] = index
	binary.NativeEndian.PutUint64(a.value, stamp)
	binary.NativeEndian.PutUint64(a.value[len(a.value)-8:], stamp)
	return a.do(unix.BPF_MAP_UPDATE_BATCH, false)
}

func (a *batchAccess) read(index uint32) (first, last uint64, err error) {
	if index > 0 {
		a.words[0] = index - 1
	}
	if err := a.do(unix.BPF_MAP_LOOKUP_BATCH, index > 0); err != nil {
		return 0, 0, err
	}
	if a.words[2] != index {
		return 0, 0, fmt.Errorf("a batch after element %d began with element %d", index-1, a.words[2])
	}
	v := a.value
	return binary.NativeEndian.Uint64(v), binary.NativeEndian.Uint64(v[len(v)-8:]), nil
}

// programAccess reaches elements from BPF, one in each run of a program.
type programAccess struct {
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

func newProgramAccess(path string, maps loopMaps, valueSize uint32) (_ *programAccess, err error) {
	a := &programAccess{path: path}
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

func (a *programAccess) program(maps loopMaps, valueSize uint32, write bool) (*ebpf.Program, error) {
	s := loopSpec{path: a.path, maps: maps}
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

func (a *programAccess) name() string { return a.path }

func (a *programAccess) run(prog *ebpf.Program, state *[accessBytes / 8]uint64) error {
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

func (a *programAccess) write(index uint32, stamp uint64) error {
	return a.run(a.puts, &[accessBytes / 8]uint64{uint64(index), stamp})
}

func (a *programAccess) read(index uint32) (first, last uint64, err error) {
	state := [accessBytes / 8]uint64{uint64(index)}
	err = a.run(a.reads, &state)
	return state[accessFirst/8], state[accessLast/8], err
}

// Close unloads the programs, which hold the array.
func (a *programAccess) Close() error {
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

// wrappedReads reads what a kernel would that has the offset of an element in
// too few bits: --inject-wrap.
type wrappedReads struct {
	accessor
	stride, wrapAt uint64
}

func (w *wrappedReads) read(index uint32) (first, last uint64, err error) {
	return w.accessor.read(uint32(uint64(index) * w.stride % w.wrapAt / w.stride))
}
