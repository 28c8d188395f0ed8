// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"slices"
	"strconv"
)

// addresses are those of the kernel's symbols that the programs need; 0 where it
// doesn't tell.
type addresses struct {
	// perCPUOffset is where the kernel keeps how far each CPU's variables are from the
	// first ones. Without it, elements that a CPU has counted by itself are not known.
	perCPUOffset uint64
	// callbacks are of FreeCallbacks. Without them, each callback that is given to
	// call_rcu() is looked for among the maps.
	callbacks [len(FreeCallbacks)]uint64
}

func kernelAddresses() (a addresses) {
	const offset = "__per_cpu_offset"
	found, err := SymbolAddresses(append(FreeCallbacks[:], offset))
	if err != nil {
		f, err := os.Open("/proc/kallsyms")
		if err != nil {
			return a
		}
		defer f.Close()
		found = symbolAddresses(f, FreeCallbacks[:], offset)
	}
	a.perCPUOffset = found[offset]
	for i, name := range FreeCallbacks {
		a.callbacks[i] = found[name]
	}
	return a
}

// symbolAddresses finds symbols in what /proc/kallsyms holds, which lists them by
// address. It reads as far as the last one. Those that aren't there, or are hidden, are left out.
func symbolAddresses(symbols io.Reader, names []string, last string) map[string]uint64 {
	found := map[string]uint64{}
	lines := bufio.NewScanner(symbols)
	for lines.Scan() && found[last] == 0 {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) != 3 || string(fields[2]) != last && !slices.Contains(names, string(fields[2])) {
			continue
		}
		if address, err := strconv.ParseUint(string(fields[0]), 16, 64); err == nil && address != 0 {
			found[string(fields[2])] = address
		}
	}
	return found
}
