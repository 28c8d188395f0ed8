// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
)

// nameSize is the room for what bpf_snprintf() writes of an address; a name has up to
// 511 bytes since 6.1.
const nameSize = 640

// Namer asks the kernel for the symbols of addresses, as they are at that moment. An
// address takes microseconds, where the text of /proc/kallsyms takes half a second in an
// emulated guest. One goroutine at a time.
type Namer struct {
	prog       *ebpf.Program
	text       *ebpf.Map // an address, and behind it what it is called
	begin, end uint64    // of the kernel's own text
}

// NewNamer fails with an *UnsupportedError where the kernel can't be asked: before 6.2,
// as for SymbolAddresses, or by the privileges.
func NewNamer() (_ *Namer, err error) {
	ends, err := SymbolAddresses([]string{"_stext", "_etext"})
	if err != nil {
		return nil, err
	}
	n := &Namer{begin: ends["_stext"], end: ends["_etext"]}
	if n.begin == 0 || n.end <= n.begin {
		return nil, &UnsupportedError{Function: "bpf_snprintf", Err: errors.New("the kernel doesn't say where its text is")}
	}
	format, err := ebpf.NewMap(&ebpf.MapSpec{Name: OwnPrefix + "format", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1,
		Flags: unix.BPF_F_RDONLY_PROG, Contents: []ebpf.MapKV{{Key: uint32(0), Value: []byte("%pS\x00\x00\x00\x00\x00")}}})
	if err == nil {
		defer format.Close() // the program has it
		err = format.Freeze()
	}
	if err == nil {
		n.text, err = ebpf.NewMap(&ebpf.MapSpec{Name: OwnPrefix + "names", Type: ebpf.Array, KeySize: 4, ValueSize: 8 + nameSize, MaxEntries: 1})
	}
	if err == nil {
		n.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: "mp_names", Type: ebpf.Syscall, Flags: unix.BPF_F_SLEEPABLE, License: "Dual BSD/GPL",
			Instructions: asm.Instructions{
				asm.LoadMapValue(asm.R1, n.text.FD(), 8), asm.Mov.Imm(asm.R2, nameSize), asm.LoadMapValue(asm.R3, format.FD(), 0),
				asm.LoadMapValue(asm.R4, n.text.FD(), 0), asm.Mov.Imm(asm.R5, 8), asm.FnSnprintf.Call(), asm.Return(),
			}})
	}
	if err != nil {
		return nil, errors.Join(&UnsupportedError{Function: "bpf_snprintf", Err: shorten(err)}, n.Close())
	}
	return n, nil
}

// Frame is the function that an address is in, by the name that the kernel's own traces
// have: of several that begin at one address the first. Programs and trampolines are of
// the module "bpf", as in /proc/kallsyms.
func (n *Namer) Frame(addr uint64) (results.Frame, bool) {
	value := make([]byte, 8+nameSize)
	binary.NativeEndian.PutUint64(value, addr)
	if err := n.text.Put(uint32(0), value); err != nil {
		return results.Frame{}, false
	}
	if _, err := n.prog.Run(&ebpf.RunOptions{Context: make([]byte, 8)}); err != nil {
		return results.Frame{}, false
	}
	if err := n.text.Lookup(uint32(0), &value); err != nil {
		return results.Frame{}, false
	}
	text, _, _ := bytes.Cut(value[8:], []byte{0})
	f, ok := parseSymbol(string(text))
	if ok && f.Module == "" && (addr < n.begin || addr >= n.end) {
		f.Module = "bpf"
	}
	return f, ok
}

// parseSymbol reads "name+0x1a/0x30 [module]", as %pS writes it; an address without a
// name is a number.
func parseSymbol(text string) (f results.Frame, ok bool) {
	text, f.Module, _ = strings.Cut(text, " [")
	f.Module = strings.TrimSuffix(f.Module, "]")
	at := strings.LastIndex(text, "+0x")
	if at <= 0 {
		return results.Frame{}, false
	}
	offset, _, _ := strings.Cut(text[at+len("+0x"):], "/")
	var err error
	f.Function = text[:at]
	f.Offset, err = strconv.ParseUint(offset, 16, 64)
	return f, err == nil
}

// Close lets go of the program.
func (n *Namer) Close() error {
	err := errors.Join(n.prog.Close(), n.text.Close())
	if err != nil {
		err = fmt.Errorf("close the program that names addresses: %w", err)
	}
	return err
}
