// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kallsyms

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/mapprof/mapprof/results"
)

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

// Symbolize finds the function of each address in the text of /proc/kallsyms:
// the kernel's own, modules', BPF programs' and trampolines' (module "bpf").
// It reads r once and keeps nothing but the answers. An address below every
// symbol stays unknown and is left out; when every address reads as 0
// (kptr_restrict) nothing is found.
func Symbolize(addrs []uint64, r io.Reader) (map[uint64]results.Frame, error) {
	want := slices.Clone(addrs)
	slices.Sort(want)
	want = slices.Compact(want)
	type symbol struct {
		addr         uint64
		name, module string
	}
	best := make([]symbol, len(want))
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), 64<<10)
	for sc.Scan() {
		addr, name, module, ok := parseSymbol(sc.Bytes())
		if !ok {
			continue
		}
		// The first wanted address at or after the symbol; the later ones
		// learn of it below.
		i, _ := slices.BinarySearch(want, addr)
		if i < len(want) && addr >= best[i].addr {
			best[i] = symbol{addr, string(name), string(module)}
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read kallsyms: %w", err)
	}
	frames := make(map[uint64]results.Frame, len(want))
	for i, addr := range want {
		if i > 0 && best[i-1].addr > best[i].addr {
			best[i] = best[i-1]
		}
		if s := best[i]; s.addr != 0 {
			frames[addr] = results.Frame{Function: s.name, Module: s.module, Offset: addr - s.addr}
		}
	}
	return frames, nil
}

// parseSymbol takes one line, "ffffffff81000000 T name\t[module]", apart and
// accepts text symbols only.
func parseSymbol(line []byte) (addr uint64, name, module []byte, ok bool) {
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
	switch line[i+1] {
	case 't', 'T', 'w', 'W':
	default:
		return 0, nil, nil, false
	}
	name = line[i+3:]
	if tab := bytes.IndexByte(name, '\t'); tab >= 0 {
		name, module = name[:tab], bytes.Trim(name[tab+1:], "[]\r ")
	}
	return addr, name, module, len(name) > 0
}
