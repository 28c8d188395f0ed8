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
	"strconv"
)

// Addresses finds symbols of the running kernel, of its data too, by name. One that
// it hasn't, or doesn't tell (kptr_restrict), is left out.
func Addresses(names ...string) (map[string]uint64, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, fmt.Errorf("read kallsyms: %w", err)
	}
	defer f.Close()
	return findAddresses(f, names)
}

// findAddresses reads the text of /proc/kallsyms. Of a name that is there twice the
// first counts.
func findAddresses(r io.Reader, names []string) (map[string]uint64, error) {
	out := map[string]uint64{}
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), 64<<10)
	for sc.Scan() {
		// "ffffffff81000000 T name", and "\t[module]" behind those of modules
		fields := bytes.Fields(sc.Bytes())
		if len(fields) != 3 || !slices.Contains(names, string(fields[2])) {
			continue
		}
		addr, err := strconv.ParseUint(string(fields[0]), 16, 64)
		if _, known := out[string(fields[2])]; err == nil && addr != 0 && !known {
			out[string(fields[2])] = addr
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read kallsyms: %w", err)
	}
	return out, nil
}
