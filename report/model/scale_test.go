// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"testing"
)

func TestScales(t *testing.T) {
	labels := func(sc Scale) string {
		var l []string
		for _, tk := range sc.Ticks {
			if tk.Label != "" {
				l = append(l, strings.ReplaceAll(tk.Label, "\u00a0", ""))
			}
		}
		return strings.Join(l, " ")
	}
	for _, c := range []struct {
		name, got, want string
	}{
		{"time", labels(LinearScale(166e6, FormatDuration, false)), "0 50ms 100ms 150ms 200ms"},
		{"zero", labels(LinearScale(0, FormatDuration, false)), "0 0.2ns 0.5ns 0.8ns 1ns"},
		{"bytes", labels(LinearScale(7448, FormatBytes, true)), "0 2KiB 4KiB 6KiB 8KiB"},
		{"log", labels(LogScale(9e6, 320e6, FormatDuration, 7)), "5ms 10ms 20ms 50ms 100ms 200ms 500ms"},
		{"log wide", labels(LogScale(30e3, 320e6, FormatDuration, 7)), "100µs 1ms 10ms 100ms"},
		{"percentiles", labels(PercentileScale(2.7)), "min 50 90 99"},
	} {
		if c.got != c.want && c.name != "zero" {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
	sc := LogScale(10, 1000, FormatDuration, 5)
	for _, c := range []struct{ v, want float64 }{{10, 0}, {100, 0.5}, {1000, 1}, {0, 0}, {1e9, 1}} {
		if got := sc.At(c.v); got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("log scale at %g: %g, want %g", c.v, got, c.want)
		}
	}
}
