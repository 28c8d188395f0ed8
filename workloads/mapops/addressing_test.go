// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"slices"
	"strings"
	"testing"
)

// memory is an array of any size in which only what was written takes room.
type memory map[uint64]uint64

// fakeAccess reaches elements of memory, with what may be wrong about it.
type fakeAccess struct {
	label  string
	m      memory
	stride uint64
	size   uint64 // of a value
	at     func(offset uint64) uint64
}

func (f *fakeAccess) Name() string { return f.label }

func (f *fakeAccess) Write(index uint32, stamp uint64) error {
	at := f.at(uint64(index) * f.stride)
	f.m[at], f.m[at+f.size-8] = stamp, stamp
	return nil
}

func (f *fakeAccess) Read(index uint32) (first, last uint64, err error) {
	at := f.at(uint64(index) * f.stride)
	return f.m[at], f.m[at+f.size-8], nil
}

func TestAddressing(t *testing.T) {
	right := func(o uint64) uint64 { return o }
	wrapped := func(o uint64) uint64 { return o % OffsetWrap }
	for _, tt := range []struct {
		name                  string
		entries               uint32
		stride, value         uint64
		first, second         func(uint64) uint64
		failures              int
		index, element, other string // in the first failure
	}{
		{"right", 5 << 27, 8, 8, right, right, 0, "", "", ""},
		{"small", 16, 8, 8, right, right, 0, "", "", ""},
		{"one", 1, 8, 8, right, right, 0, "", "", ""},
		{"large values", 640, 8 << 20, 8<<20 - 8, right, right, 0, "", "", ""},
		// Writing right and reading wrapped, and the other way round. What
		// is written wrapped is also wrong when read the same way.
		{"one wraps", 5 << 27, 8, 8, right, wrapped, 3, "index 536870912 ", "element 0;", fixOverflow},
		{"both offsetWrap", 5 << 27, 8, 8, wrapped, wrapped, 4, "index 0 ", "element 536870912;", fixOverflow},
		{"large values offsetWrap", 640, 8 << 20, 8 << 20, right, wrapped, 3, "index 512 ", "element 0;", fixOverflow},
		{"odd stride wraps", 200, 40_000_008, 40_000_008, right, wrapped, 2, "index 108 ", "", fixOverflow},
		{"always element 0", 1 << 20, 8, 8, right, func(uint64) uint64 { return 0 }, 3, "index 1 ", "element 0;", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := memory{}
			a := NewAddressing(tt.entries, tt.stride, OffsetWrap, 500)
			one := &fakeAccess{"one", m, tt.stride, tt.value, tt.first}
			two := &fakeAccess{"two", m, tt.stride, tt.value, tt.second}
			failures, err := a.Prove([]Accessor{one, two}, []Accessor{one, two}, func() {})
			if err != nil {
				t.Fatal(err)
			}
			if len(failures) != tt.failures {
				t.Fatalf("%d failures, want %d: %q", len(failures), tt.failures, failures)
			}
			for _, want := range []string{tt.index, tt.element, tt.other} {
				if tt.failures > 0 && !strings.Contains(failures[0], want) {
					t.Errorf("%q has no %q", failures[0], want)
				}
			}
		})
	}
}

func TestAddressingElements(t *testing.T) {
	a := NewAddressing(5<<27, 8, OffsetWrap, 1000)
	for _, want := range []uint32{0, 1, 5<<27 - 1, 1<<29 - 1, 1 << 29, 1<<29 + 1, 1 << 28} {
		if !slices.Contains(a.Indexes, want) {
			t.Errorf("element %d is not looked at", want)
		}
	}
	if n := len(a.Indexes); n < 1000 || n > 2000 {
		t.Errorf("%d elements", n)
	}
	if !slices.IsSorted(a.Indexes) || len(slices.Compact(slices.Clone(a.Indexes))) != len(a.Indexes) {
		t.Error("the elements are not in order, once each")
	}
}
