// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import "testing"

// TestNearestSeries: a series that doesn't exist leads to one that does, other words to none.
func TestNearestSeries(t *testing.T) {
	known := []string{"5.10", "6.1", "6.12", "6.18", "7.2"}
	for requested, want := range map[string]string{
		"v6.12": "6.12", "linux-6.12": "6.12", "612": "6.12", "6.13": "6.12", "6.17": "6.18", "6.12.999": "6.12",
		"6.0": "6.1", "7.9": "7.2", "4.19": "", "debian": "", "./bzImage": "", "/boot/vmlinuz-6.12": "", "": "", "6": "",
	} {
		if want != "" {
			want = "did you mean " + want + "? "
		}
		if got := nearestSeries(requested, known); got != want {
			t.Errorf("%q: %q, not %q", requested, got, want)
		}
	}
}
