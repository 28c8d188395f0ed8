// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"math"
	"testing"

	"github.com/cilium/ebpf"
)

// TestTimesBytes: an estimate never wraps around.
func TestTimesBytes(t *testing.T) {
	for _, tt := range []struct{ n, bytes, want uint64 }{
		{0, 5, 0}, {3, 5, 15}, {1 << 25, 1 << 24, 1 << 49}, {1 << 25, 1 << 25, MostBytes}, {math.MaxUint64, math.MaxUint64, MostBytes}, {1 << 32, 1 << 32, MostBytes},
	} {
		if got := TimesBytes(tt.n, tt.bytes); got != tt.want {
			t.Errorf("%d times %d bytes: %d, want %d", tt.n, tt.bytes, got, tt.want)
		}
	}
}

// TestMapBytesGrow: a larger map of any type takes no less, the largest included.
func TestMapBytesGrow(t *testing.T) {
	for kind := ebpf.Hash; kind <= ebpf.Arena; kind++ {
		last := uint64(0)
		for _, entries := range []uint32{1, 2, 100, 1 << 20, math.MaxUint32} {
			for _, cpus := range []int{1, 2, 255} {
				got := MapBytes(&ebpf.MapSpec{Type: kind, KeySize: 4, ValueSize: 64, MaxEntries: entries}, cpus)
				if got == 0 || cpus == 1 && got < last {
					t.Errorf("%s of %d, %d CPUs: %d bytes, a smaller one %d", kind, entries, cpus, got, last)
				}
				if cpus == 1 {
					last = got
				}
			}
		}
	}
}

func TestAllocated(t *testing.T) {
	for _, tt := range []struct{ n, want uint64 }{
		{1, 8}, {64, 64}, {65, 96}, {97, 128}, {129, 192}, {193, 256}, {32768, 32768}, {32769, 9 * (4096 + 16)},
	} {
		if got := allocated(tt.n); got != tt.want {
			t.Errorf("%d: %d, want %d", tt.n, got, tt.want)
		}
	}
}
