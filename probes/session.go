// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// traceFSession is BPF_TRACE_FSESSION: one program for entry and exit of a
// function (kernel 7.0, 98770bd4e6df).
const traceFSession = 58

// HasSessions tells whether the kernel and its JIT have BPF_TRACE_FSESSION.
func HasSessions() bool {
	p, err := AttachLookup(LookupConfig{Function: "array_map_lookup_elem", Session: true, Empty: true})
	return err == nil && p.Close() == nil
}

// loadWithSessions loads a collection in which there may be programs for
// BPF_TRACE_FSESSION of function.
func loadWithSessions(spec *ebpf.CollectionSpec, opts ebpf.CollectionOptions, function string) (*ebpf.Collection, error) {
	sessions := map[string]*ebpf.ProgramSpec{}
	for name, prog := range spec.Programs {
		if prog.Type == ebpf.Tracing && prog.AttachType == traceFSession {
			sessions[name] = prog
			delete(spec.Programs, name)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, opts)
	if err != nil {
		return nil, err
	}
	for name, prog := range sessions {
		if coll.Programs[name], err = loadSession(prog, function, coll.Maps, opts.Cache); err != nil {
			delete(coll.Programs, name)
			coll.Close()
			return nil, err
		}
	}
	return coll, nil
}

// loadSession loads a program for BPF_TRACE_FSESSION. cilium/ebpf 0.22 reads
// such a section, but does not look for the function it names: the kernel wants
// that function's BTF id at load.
func loadSession(spec *ebpf.ProgramSpec, function string, maps map[string]*ebpf.Map, types *btf.Cache) (*ebpf.Program, error) {
	kernel, err := types.Kernel()
	if err != nil {
		return nil, err
	}
	target, err := funcID(kernel, function)
	if err != nil {
		return nil, err
	}
	insns := make(asm.Instructions, len(spec.Instructions))
	copy(insns, spec.Instructions)
	for i := range insns {
		ins := &insns[i]
		switch {
		case ins.IsKfuncCall():
			id, err := funcID(kernel, ins.Reference())
			if err != nil {
				return nil, err
			}
			ins.Constant = int64(id)
			*ins = ins.WithReference("")
		case ins.IsLoadFromMap() && ins.Map() == nil && maps[ins.Reference()] != nil:
			if err := ins.AssociateMap(maps[ins.Reference()]); err != nil {
				return nil, err
			}
		}
	}
	var code bytes.Buffer
	if err := insns.Marshal(&code, spec.ByteOrder); err != nil {
		return nil, fmt.Errorf("encode %s: %w", spec.Name, err)
	}
	fd, err := progLoadSession(spec.Name, code.Bytes(), target)
	if err != nil {
		return nil, fmt.Errorf("load %s for fsession: %w", spec.Name, err)
	}
	prog, err := ebpf.NewProgramFromFD(fd)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return prog, nil
}

// funcID is the BTF id of a function of the kernel's.
func funcID(kernel *btf.Spec, name string) (btf.TypeID, error) {
	var f *btf.Func
	if err := kernel.TypeByName(name, &f); err != nil {
		return 0, fmt.Errorf("find %s in the kernel's BTF: %w", name, err)
	}
	return kernel.TypeID(f)
}

// progLoadSession is BPF_PROG_LOAD, with the part of its attributes that is used.
func progLoadSession(name string, code []byte, target btf.TypeID) (int, error) {
	license := []byte("Dual BSD/GPL\x00")
	attr := struct {
		progType, insnCnt           uint32
		insns, license              uint64
		logLevel, logSize           uint32
		logBuf                      uint64
		kernVersion, progFlags      uint32
		progName                    [unix.BPF_OBJ_NAME_LEN]byte
		progIfindex, expectedAttach uint32
		progBTFFD, funcInfoRecSize  uint32
		funcInfo                    uint64
		funcInfoCnt, lineInfoSize   uint32
		lineInfo                    uint64
		lineInfoCnt, attachBTFID    uint32
	}{
		progType: unix.BPF_PROG_TYPE_TRACING, insnCnt: uint32(len(code) / asm.InstructionSize),
		insns: uint64(uintptr(unsafe.Pointer(&code[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
		expectedAttach: traceFSession, attachBTFID: uint32(target),
	}
	copy(attr.progName[:unix.BPF_OBJ_NAME_LEN-1], name)
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(code)
	runtime.KeepAlive(license)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
