// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"testing"

	"github.com/mapprof/mapprof/results"
)

func TestParseSymbol(t *testing.T) {
	for text, want := range map[string]results.Frame{
		"bpf_map_put+0x1a/0x90":                   {Function: "bpf_map_put", Offset: 0x1a},
		"ext4_sync+0x0/0x30 [ext4]":               {Function: "ext4_sync", Module: "ext4"},
		"bpf_prog_6deef7357e7b4530_fe_put+0x5/0x": {Function: "bpf_prog_6deef7357e7b4530_fe_put", Offset: 5},
		"operator+0x1+0x2/0x3":                    {Function: "operator+0x1", Offset: 2},
		"0xffffffffc0000000":                      {},
		"+0x1/0x2":                                {},
		"f+0xzz/0x2":                              {},
		"":                                        {},
	} {
		got, ok := parseSymbol(text)
		if wanted := want.Function != ""; ok != wanted || ok && got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
}
