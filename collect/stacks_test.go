// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/collect/kallsyms"
)

// TestSymbolizerReloads: what is loaded while deaths are read has its name, and the
// symbols are not read again for each stack.
func TestSymbolizerReloads(t *testing.T) {
	const kernel = "ffffffff81000000 T bpf_map_put\nffffffff81001000 T close_it\nffffffff81002000 T __init_scratch_end\n"
	text := kernel + "ffffffffc0000000 t bpf_prog_mine\t[bpf]\nffffffffc0000100 t bpf_trampoline_1\t[bpf]\n"
	loads := 0
	load := func() (*kallsyms.Table, error) {
		loads++
		if text == "" {
			return nil, errors.New("gone")
		}
		return kallsyms.Read(strings.NewReader(text))
	}
	stacks := [][]uint64{
		{0xffffffffc0000010, 0xffffffffc0000110, 0xffffffff81000010, 0xffffffff81001010},
		{0xffffffffc0000010, 0xffffffffc0000110, 0xffffffff81000010, 0xffffffffc0900010, 0xffffffff81001010},
		{0xffffffffc0000010, 0xffffffff81000010, 0xffffffffc0000310},
		{0xffffffff81000010, 0xffffffffc0900010},
	}
	first, err := load()
	if err != nil {
		t.Fatal(err)
	}
	s := newSymbolizer(func(id uint32) ([]uint64, error) { return stacks[id], nil }, first, load)
	names := func(id int32) (names []string) {
		for _, f := range s.stacks[s.key(id)] {
			names = append(names, f.Function)
		}
		return names
	}
	// The tracer's own frames are no reason to read again.
	if got := names(0); !slices.Equal(got, []string{"bpf_map_put", "close_it"}) || loads != 1 {
		t.Errorf("%q after %d loads", got, loads)
	}
	text += "ffffffffc0000300 t bpf_prog_late\t[bpf]\nffffffffc0900000 t bpf_trampoline_late\t[bpf]\n"
	if got := names(1); !slices.Equal(got, []string{"bpf_map_put", "bpf_trampoline_late", "close_it"}) || loads != 2 {
		t.Errorf("%q after %d loads", got, loads)
	}
	// Behind another program, where an old table would have named that.
	if got := names(2); !slices.Equal(got, []string{"bpf_map_put", "bpf_prog_late"}) {
		t.Errorf("%q", got)
	}
	// Behind the page of a trampoline.
	s.symbols = mustRead(t, kernel+"ffffffffc0900000 t bpf_trampoline_7\t[bpf]\n")
	if got := s.frames([]uint64{0xffffffffc0900fff, 0xffffffffc0901000}); got[0].Function != "bpf_trampoline_7" || got[1].Function != "0xffffffffc0901000" {
		t.Errorf("%+v", got)
	}
	// What can't be named now has no other function's name.
	s.symbols, s.next = mustRead(t, kernel), time.Now().Add(time.Hour)
	before := loads
	if got := names(3); !slices.Equal(got, []string{"bpf_map_put", "0xffffffffc0900010"}) || loads != before {
		t.Errorf("%q after %d loads", got, loads-before)
	}
	text, s.next = "", time.Time{}
	if s.reload() || s.symbols == nil {
		t.Error("symbols that can't be read replaced others")
	}
}

func mustRead(t *testing.T, text string) *kallsyms.Table {
	t.Helper()
	table, err := kallsyms.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}
