// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kallsyms

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/mapprof/mapprof/results"
)

// Table is the text symbols of a kernel: its own, modules', BPF programs' and
// trampolines' (module "bpf"), as they were when it was read: a few megabytes. Safe
// for concurrent use.
type Table struct {
	symbols []symbol // by address
	names   []byte   // of all, one after the other
	modules []string
}

type symbol struct {
	addr   uint64
	name   uint32 // where its name begins
	length uint16
	module uint16
}

// Load reads the running kernel's /proc/kallsyms.
func Load() (*Table, error) { return Begin().Finish() }

// Read reads the text of /proc/kallsyms. Addresses that read as 0 (kptr_restrict)
// are left out.
func Read(r io.Reader) (*Table, error) {
	b := newBuilder(r)
	if _, err := b.read(""); err != nil {
		return nil, err
	}
	return b.table(), nil
}

// Frame finds the function of an address: the last of those that begin closest
// before it. An address below every symbol has none.
func (t *Table) Frame(addr uint64) (results.Frame, bool) {
	i := sort.Search(len(t.symbols), func(i int) bool { return t.symbols[i].addr > addr })
	if i == 0 {
		return results.Frame{}, false
	}
	s := t.symbols[i-1]
	return results.Frame{Function: string(t.names[s.name:][:s.length]), Module: t.modules[s.module], Offset: addr - s.addr}, true
}

// Kernel finds the functions of addresses in the running kernel's
// /proc/kallsyms, as Symbolize does.
func Kernel(addrs []uint64) (map[uint64]results.Frame, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, fmt.Errorf("read kallsyms: %w", err)
	}
	defer f.Close()
	return Symbolize(addrs, f)
}

// Symbolize finds the function of each address in the text of /proc/kallsyms.
// An address that has none is left out.
func Symbolize(addrs []uint64, r io.Reader) (map[uint64]results.Frame, error) {
	t, err := Read(r)
	if err != nil {
		return nil, err
	}
	frames := make(map[uint64]results.Frame, len(addrs))
	for _, addr := range addrs {
		if f, ok := t.Frame(addr); ok {
			frames[addr] = f
		}
	}
	return frames, nil
}

// parseSymbol takes one line, "ffffffff81000000 T name\t[module]", apart and
// accepts text symbols only.
func parseSymbol(line []byte) (addr uint64, name, module []byte, ok bool) {
	if len(line) > 18 && line[16] == ' ' && !isText(line[17]) { // most lines
		return 0, nil, nil, false
	}
	i := 0
	for ; i < len(line) && line[i] != ' '; i++ {
		c := line[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, nil, nil, false
		}
		addr = addr<<4 | uint64(c)
	}
	if i == 0 || i > 16 || len(line) < i+4 || line[i+2] != ' ' || addr == 0 {
		return 0, nil, nil, false
	}
	if !isText(line[i+1]) {
		return 0, nil, nil, false
	}
	name = line[i+3:]
	if tab := bytes.IndexByte(name, '\t'); tab >= 0 {
		name, module = name[:tab], bytes.Trim(name[tab+1:], "[]\r ")
	}
	return addr, name, module, len(name) > 0
}

// isText tells whether symbols of that type are text.
func isText(kind byte) bool { return kind == 't' || kind == 'T' || kind == 'w' || kind == 'W' }
