// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strconv"
)

// perCPUOffset is where the kernel keeps how far each CPU's variables are from the
// first ones; 0 where it doesn't say, and then elements that a CPU has counted by
// itself are not known.
func perCPUOffset() uint64 {
	const name = "__per_cpu_offset"
	if found, err := SymbolAddresses([]string{name}); err == nil {
		return found[name]
	}
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return 0
	}
	defer f.Close()
	return symbolAddress(f, name)
}

// symbolAddress finds a symbol in what /proc/kallsyms holds; 0: not there, or hidden.
func symbolAddress(symbols io.Reader, name string) uint64 {
	lines := bufio.NewScanner(symbols)
	for lines.Scan() {
		if !bytes.HasSuffix(lines.Bytes(), []byte(name)) {
			continue
		}
		fields := bytes.Fields(lines.Bytes())
		if len(fields) != 3 || string(fields[2]) != name {
			continue
		}
		if address, err := strconv.ParseUint(string(fields[0]), 16, 64); err == nil {
			return address
		}
	}
	return 0
}
