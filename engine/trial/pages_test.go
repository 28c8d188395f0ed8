// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"strings"
	"testing"

	"github.com/mapprof/mapprof/workloads"
)

func TestPageShare(t *testing.T) {
	functions := []workloads.PageFunction{{Name: "kernel_init_pages"}, {Name: "clear_page_erms", Sampled: true}, {Name: "clear_page_rep", Sampled: true}}
	for _, tt := range []struct {
		name    string
		samples map[string]uint64
		share   float64
		text    string
	}{
		{"erms", map[string]uint64{"clear_page_erms": 150, "get_page_from_freelist": 50}, .75, "200 samples of where this thread was, at up to 1009 a second: 150 were in clear_page_erms (inlined)"},
		{"both", map[string]uint64{"clear_page_erms": 50, "clear_page_rep": 50, "": 100}, .5, "in clear_page_erms, clear_page_rep"},
		{"few", map[string]uint64{"clear_page_erms": 50, "x": 49}, 0, "inlined; and 99 samples of where it was are too few"},
		{"none", map[string]uint64{"kernel_init_pages": 1, "x": 200}, 0, "of 201 samples 200 are in x"},
		{"interrupts off", map[string]uint64{"clear_page_erms": 20, "_raw_spin_unlock_irqrestore": 180}, 0, "180 are in _raw_spin_unlock_irqrestore, where interrupts are on again"},
		{"nothing", nil, 0, "0 samples"},
	} {
		got := pageShare(functions, tt.samples, "inlined")
		if got.Share != tt.share || !strings.Contains(got.How+got.Why, tt.text) || (got.Why == "") != (tt.share > 0) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
