// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kallsyms

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// behindText is a symbol of every kernel that lies behind its text and before what was
// loaded since: /proc/kallsyms has the kernel's own symbols first, by address.
const behindText = "__bss_start"

// Reading is a table of the running kernel's symbols under way. The kernel writes its
// symbols as text, which takes long; its own don't change, so they can be read early.
type Reading struct {
	file *os.File
	b    *builder
	err  error
	done chan struct{} // closed when the kernel's own text is read
}

// Begin reads the kernel's own symbols in the background.
func Begin() *Reading {
	r := &Reading{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		if r.file, r.err = os.Open("/proc/kallsyms"); r.err != nil {
			r.err = fmt.Errorf("read kallsyms: %w", r.err)
			return
		}
		r.b = newBuilder(r.file)
		var found bool
		if found, r.err = r.b.read(behindText); r.err == nil && !found {
			r.b = nil // it is at its end: what is loaded later isn't in it
		}
	}()
	return r
}

// Finish reads the others, modules' and programs' as they are now.
func (r *Reading) Finish() (*Table, error) {
	defer r.Close()
	<-r.done
	if r.err != nil {
		return nil, r.err
	}
	if r.b == nil {
		if _, err := r.file.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("read kallsyms: %w", err)
		}
		r.b = newBuilder(r.file)
	}
	if _, err := r.b.read(""); err != nil {
		return nil, err
	}
	return r.b.table(), nil
}

// Close gives the reading up. It may be called after Finish.
func (r *Reading) Close() {
	<-r.done
	if r.file != nil {
		r.file.Close() // nothing was written
	}
}

// builder makes a table of text.
type builder struct {
	t       Table
	modules map[string]uint16
	sc      *bufio.Scanner
}

func newBuilder(r io.Reader) *builder {
	b := &builder{t: Table{modules: []string{""}}, modules: map[string]uint16{"": 0}, sc: bufio.NewScanner(r)}
	b.sc.Buffer(make([]byte, 64<<10), 64<<10)
	return b
}

// maxNames bounds the names of a table in bytes: a kernel has a few megabytes.
const maxNames = 256 << 20

// read reads on, until behind the symbol of that name that is no text, which it tells of.
func (b *builder) read(until string) (found bool, err error) {
	for b.sc.Scan() {
		line := b.sc.Bytes()
		addr, name, module, ok := parseSymbol(line)
		if !ok {
			if until != "" && bytes.HasSuffix(line, []byte(until)) {
				return true, nil
			}
			continue
		}
		if err := b.add(addr, name, module); err != nil {
			return false, err
		}
	}
	if err := b.sc.Err(); err != nil {
		return false, fmt.Errorf("read kallsyms: %w", err)
	}
	return false, nil
}

func (b *builder) add(addr uint64, name, module []byte) error {
	t := &b.t
	m := uint16(0)
	if len(module) > 0 {
		var known bool
		if m, known = b.modules[string(module)]; !known {
			if len(t.modules) > math.MaxUint16 {
				return errors.New("read kallsyms: too many modules")
			}
			m = uint16(len(t.modules))
			t.modules = append(t.modules, string(module))
			b.modules[string(module)] = m
		}
	}
	if len(t.names) > maxNames {
		return errors.New("read kallsyms: too many symbols")
	}
	t.symbols = append(t.symbols, symbol{addr, uint32(len(t.names)), uint16(len(name)), m})
	t.names = append(t.names, name...)
	return nil
}

func (b *builder) table() *Table {
	t := &b.t
	slices.SortStableFunc(t.symbols, func(a, b symbol) int { return cmp.Compare(a.addr, b.addr) })
	t.symbols, t.names = slices.Clip(t.symbols), slices.Clip(t.names)
	return t
}
