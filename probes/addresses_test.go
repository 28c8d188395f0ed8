// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"maps"
	"strings"
	"testing"
)

func TestSymbolAddresses(t *testing.T) {
	const symbols = "ffffffff81000000 T _text\nffffffff81000010 t _textual\nffffffff82000000 d my__per_cpu_offset\nffffffff82bcd340 D __per_cpu_offset\nffffffffc0000000 t x\t[mod]\nffffffffd0000000 t behind\n"
	got := symbolAddresses(strings.NewReader(symbols), []string{"_text", "x", "none", "behind"}, "__per_cpu_offset")
	if want := map[string]uint64{"__per_cpu_offset": 0xffffffff82bcd340, "_text": 0xffffffff81000000}; !maps.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if got := symbolAddresses(strings.NewReader("0000000000000000 D __per_cpu_offset\n"), nil, "__per_cpu_offset"); len(got) > 0 {
		t.Errorf("hidden: %x", got)
	}
}
