// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"strings"
	"testing"
)

func TestSymbolAddress(t *testing.T) {
	const symbols = "ffffffff81000000 T _text\nffffffff82000000 d my__per_cpu_offset\nffffffff82bcd340 D __per_cpu_offset\nffffffffc0000000 t x\t[mod]\n"
	for name, want := range map[string]uint64{"__per_cpu_offset": 0xffffffff82bcd340, "_text": 0xffffffff81000000, "x": 0, "none": 0} {
		if got := symbolAddress(strings.NewReader(symbols), name); got != want {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
	if got := symbolAddress(strings.NewReader("0000000000000000 D __per_cpu_offset\n"), "__per_cpu_offset"); got != 0 {
		t.Errorf("hidden: %x", got)
	}
}
