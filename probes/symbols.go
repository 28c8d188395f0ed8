// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// symbolNameSize is the room for a symbol's name with the NUL behind it.
const symbolNameSize = 64

// SymbolAddresses asks the kernel for the addresses of symbols, of data too. That takes
// microseconds each, where the text of /proc/kallsyms takes some 100 ms. One that the
// kernel hasn't is left out. An *UnsupportedError says that it can't be asked: before
// 6.2, which sorts them by name (60443c88f3a8), or by the privileges.
func SymbolAddresses(names []string) (map[string]uint64, error) {
	unsupported := func(err error) error { return &UnsupportedError{Function: "bpf_kallsyms_lookup_name", Err: err} }
	if major, minor := kernelVersion(); major < 6 || major == 6 && minor < 2 {
		return nil, unsupported(errors.New("symbols are sorted by name since 6.2"))
	}
	prog, err := ebpf.NewProgram(symbolProgram())
	if err != nil {
		return nil, unsupported(shorten(err))
	}
	defer prog.Close()
	found := map[string]uint64{}
	for _, name := range names {
		if len(name) >= symbolNameSize {
			return nil, fmt.Errorf("symbol %s: its name is longer than %d", name, symbolNameSize-1)
		}
		context := make([]byte, symbolNameSize+8)
		copy(context, name)
		ret, err := prog.Run(&ebpf.RunOptions{Context: context, ContextOut: context})
		if err != nil {
			return nil, unsupported(err)
		}
		switch errno := unix.Errno(-int32(ret)); errno {
		case 0:
			found[name] = binary.NativeEndian.Uint64(context[symbolNameSize:])
		case unix.ENOENT:
		default:
			return nil, unsupported(errno)
		}
	}
	return found, nil
}

// symbolProgram reads a name from its context, and writes the address behind it.
func symbolProgram() *ebpf.ProgramSpec {
	const name, address = -8 - symbolNameSize, -8 // on the stack
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1), asm.Mov.Imm(asm.R2, 0), asm.StoreMem(asm.RFP, address, asm.R2, asm.DWord)}
	for at := int16(0); at < symbolNameSize; at += 8 {
		code = append(code, asm.LoadMem(asm.R2, asm.R6, at, asm.DWord), asm.StoreMem(asm.RFP, name+at, asm.R2, asm.DWord))
	}
	code = append(code,
		asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, name), asm.Mov.Imm(asm.R2, symbolNameSize), asm.Mov.Imm(asm.R3, 0),
		asm.Mov.Reg(asm.R4, asm.RFP), asm.Add.Imm(asm.R4, address), asm.FnKallsymsLookupName.Call(),
		asm.LoadMem(asm.R1, asm.RFP, address, asm.DWord), asm.StoreMem(asm.R6, symbolNameSize, asm.R1, asm.DWord),
		asm.Return())
	return &ebpf.ProgramSpec{Name: "mp_symbols", Type: ebpf.Syscall, Flags: unix.BPF_F_SLEEPABLE, License: "Dual BSD/GPL", Instructions: code}
}

// kernelVersion is the running kernel's, 0 where it doesn't say.
func kernelVersion() (major, minor int) {
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		_, _ = fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	}
	return major, minor
}
