// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kallsyms

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
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
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), 64<<10)
	for sc.Scan() {
		// "ffffffff81000000 T name", and "\t[module]" behind those of modules
		line := sc.Bytes()
		name := line[bytes.LastIndexByte(line, ' ')+1:]
		if !wanted[string(name)] {
			continue
		}
		hex, _, _ := bytes.Cut(line, []byte(" "))
		addr, err := strconv.ParseUint(string(hex), 16, 64)
		if _, known := out[string(name)]; err == nil && addr != 0 && !known {
			out[string(name)] = addr
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read kallsyms: %w", err)
	}
	return out, nil
}
