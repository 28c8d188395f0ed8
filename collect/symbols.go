// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/probes"
)

// Symbols are what names the addresses of stacks: the kernel, where it can be asked, else
// the text of /proc/kallsyms.
type Symbols struct {
	namer   *probes.Namer
	reading *kallsyms.Reading
}

// BeginSymbols finds out whether the kernel can be asked, and begins to read the text
// where it can't.
func BeginSymbols() *Symbols {
	if namer, err := probes.NewNamer(); err == nil {
		return &Symbols{namer: namer}
	}
	return &Symbols{reading: kallsyms.Begin()}
}

// symbolizer names stacks as they come. What is read of the text is as it is now.
func (s *Symbols) symbolizer(read func(id uint32) ([]uint64, error)) (*symbolizer, error) {
	if s.namer != nil {
		return newSymbolizer(read, s.namer, nil), nil
	}
	table, err := s.reading.Finish()
	if err != nil {
		return nil, fmt.Errorf("symbolize stacks: %w", err)
	}
	return newSymbolizer(read, table, kallsyms.Load), nil
}

// Close ends the asking, or the reading.
func (s *Symbols) Close() error {
	if s.namer != nil {
		return s.namer.Close()
	}
	s.reading.Close()
	return nil
}
