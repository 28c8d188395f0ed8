// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/results"
)

// symbolizer names the stacks of deaths as they come. The symbols are read before
// the workload begins: to read them takes longer than a ring buffer lasts.
type symbolizer struct {
	read    func(id uint32) ([]uint64, error) // the addresses of a stack
	symbols *kallsyms.Table
	keys    map[int32]string
	stacks  map[string][]results.Frame
}

func newSymbolizer(read func(id uint32) ([]uint64, error)) (*symbolizer, error) {
	symbols, err := kallsyms.Load()
	if err != nil {
		return nil, fmt.Errorf("symbolize stacks: %w", err)
	}
	return &symbolizer{read: read, symbols: symbols, keys: map[int32]string{}, stacks: map[string][]results.Frame{}}, nil
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
		stack := make([]results.Frame, 0, len(addrs))
		for _, a := range addrs {
			fr, ok := s.symbols.Frame(a)
			if !ok {
				fr = results.Frame{Function: fmt.Sprintf("0x%x", a)}
			}
			stack = append(stack, fr)
		}
		stack = trimTracer(stack)
		key = results.StackID(stack)
		s.keys[id], s.stacks[key] = key, stack
	}
	return key
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
