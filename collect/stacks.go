// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/results"
)

// symbolizer names the stacks of deaths as they come. The symbols are read before
// the workload begins: to read them takes longer than a ring buffer lasts. A program or a
// trampoline that was loaded after that has no name among them, and the address looks
// like one far behind another function: then they are read again, seldom enough.
type symbolizer struct {
	read    func(id uint32) ([]uint64, error) // the addresses of a stack
	load    func() (*kallsyms.Table, error)   // nil: symbols are always those of now
	symbols symbols
	next    time.Time // when they may be read again
	keys    map[int32]string
	stacks  map[string][]results.Frame
}

// reloadShare bounds what reading symbols again costs: after 1 s of it there is none for
// 50 s.
const reloadShare = 50

// symbols are a kallsyms.Table, or a probes.Namer.
type symbols interface {
	Frame(addr uint64) (results.Frame, bool)
}

// newSymbolizer takes the symbols of now, and how to read those of later.
func newSymbolizer(read func(id uint32) ([]uint64, error), now symbols, load func() (*kallsyms.Table, error)) *symbolizer {
	return &symbolizer{read: read, load: load, symbols: now, keys: map[int32]string{}, stacks: map[string][]results.Frame{}}
}

// key returns the stable key of a stack by the kernel's id; "": there is none.
func (s *symbolizer) key(id int32) string {
	if id < 0 {
		return ""
	}
	key, ok := s.keys[id]
	if !ok {
		// One that can't be read is one without frames.
		addrs, _ := s.read(uint32(id))
		stack := trimTracer(s.frames(addrs))
		if slices.ContainsFunc(stack, loadedLater) && s.reload() {
			stack = trimTracer(s.frames(addrs))
		}
		key = results.StackID(stack)
		s.keys[id], s.stacks[key] = key, stack
	}
	return key
}

func (s *symbolizer) frames(addrs []uint64) []results.Frame {
	stack := make([]results.Frame, 0, len(addrs))
	for _, a := range addrs {
		fr, ok := s.symbols.Frame(a)
		if !ok || fr.Offset > largestFunction || fr.Offset >= largestTrampoline && strings.HasPrefix(fr.Function, "bpf_trampoline_") {
			fr = results.Frame{Function: fmt.Sprintf("0x%x", a)}
		}
		stack = append(stack, fr)
	}
	return stack
}

// largestFunction is more than any function of the kernel has, and largestTrampoline than
// any trampoline: behind them is other text.
const (
	largestFunction   = 1 << 20
	largestTrampoline = 4096
)

// loadedLater tells of a frame that may be of what was loaded after the symbols were
// read: among programs no symbol says where it ends.
func loadedLater(f results.Frame) bool {
	return f.Module == "bpf" || strings.HasPrefix(f.Function, "0x")
}

// reload reads the symbols again, and tells whether it has.
func (s *symbolizer) reload() bool {
	began := time.Now()
	if s.load == nil || began.Before(s.next) {
		return false
	}
	symbols, err := s.load()
	s.next = time.Now().Add(time.Since(began) * reloadShare)
	if err != nil {
		return false // those that there are serve on
	}
	s.symbols = symbols
	return true
}

// trimTracer drops the tracer's own frames (its program and the trampoline)
// from the inner end.
func trimTracer(stack []results.Frame) []results.Frame {
	i := 0
	for i < len(stack) && (stack[i].Module == "bpf" || stack[i].Module == "__builtin__ftrace" || stack[i].Module == "__builtin__kprobes") {
		i++
	}
	return stack[i:]
}
