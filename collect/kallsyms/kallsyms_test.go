// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kallsyms

import (
	"reflect"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

const symbols = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000100 T bpf_map_put
ffffffff81000100 t bpf_map_put.alias
ffffffff81000200 t map_update_elem
ffffffff81000300 D some_data
ffffffff82000000 T late
not a line
ffffffff810001 T
ffffffffc0000000 t mod_func	[nf_tables]
ffffffffc0001000 t bpf_prog_6deef7357e7b4530_fe_put	[bpf]
ffffffffc0002000 t bpf_trampoline_6442536467	[bpf]
`

func TestSymbolize(t *testing.T) {
	addrs := []uint64{0xffffffffc0001004, 0xffffffff81000105, 0x10, 0xffffffff81000305, 0xffffffffc0000001, 0xffffffff81000105}
	got, err := Symbolize(addrs, strings.NewReader(symbols))
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint64]results.Frame{
		0xffffffffc0001004: {Function: "bpf_prog_6deef7357e7b4530_fe_put", Module: "bpf", Offset: 4},
		0xffffffff81000105: {Function: "bpf_map_put.alias", Offset: 5},
		0xffffffff81000305: {Function: "map_update_elem", Offset: 0x105},
		0xffffffffc0000001: {Function: "mod_func", Module: "nf_tables", Offset: 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	// kptr_restrict: every address is 0.
	got, err = Symbolize([]uint64{5}, strings.NewReader("0000000000000000 T f\n"))
	if err != nil || len(got) != 0 {
		t.Errorf("restricted: %v %v", got, err)
	}
	if _, err := Symbolize(nil, strings.NewReader(strings.Repeat("x", 1<<20))); err == nil {
		t.Error("an endless line was accepted")
	}
}

func FuzzSymbolize(f *testing.F) {
	f.Add(symbols, uint64(0xffffffff81000105))
	f.Fuzz(func(t *testing.T, text string, addr uint64) {
		frames, err := Symbolize([]uint64{addr, addr + 8}, strings.NewReader(text))
		if err != nil {
			return
		}
		for a, fr := range frames {
			if fr.Offset > a {
				t.Fatalf("%x is %+v", a, fr)
			}
		}
	})
}
