// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import "testing"

// The orders are dpkg --compare-versions' own.
func TestCompareDebianVersions(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"1.0", "1.0~rc1", 1},
		{"6.12.117-1", "6.12.117-1~deb12u1", 1},
		{"6.1.0-56", "6.1.0-9", 1},
		{"7.3~rc7-1~exp1", "7.3-1", -1},
		{"1:1.0", "2.0", 1},
		{"1.0a", "1.0+", -1},
		{"1.0", "1.0-0", 0},
		{"6.9", "6.10", -1},
		{"1.0-1+b1", "1.0-1", 1},
		{"0:1", "1", 0},
		{"1.01", "1.1", 0},
		{"a", "a~", 1},
		{"1.0.~", "1.0.", -1},
		{"1-1-1", "1-1", 1},
		{"6.12.90-2", "6.12.90-1", 1},
		{"5.10.9-1", "5.10.262-1", -1},
		{"", "", 0},
		{"", "~", 1},
	} {
		if got := CompareVersions(tc.a, tc.b); got != tc.want {
			t.Errorf("compare %q, %q: %d, want %d", tc.a, tc.b, got, tc.want)
		}
		if got := CompareVersions(tc.b, tc.a); got != -tc.want {
			t.Errorf("compare %q, %q: %d, want %d", tc.b, tc.a, got, -tc.want)
		}
	}
}

func TestSeriesAndUpstream(t *testing.T) {
	for _, tc := range []struct{ version, series, upstream string }{
		{"6.12.117-1~deb12u1", "6.12", "6.12.117"},
		{"5.10.262-1", "5.10", "5.10.262"},
		{"7.3~rc7-1~exp1", "7.3", "7.3"},
		{"7.0-1", "7.0", "7.0"},
		{"1:6.1.2-3", "6.1", "6.1.2"},
		{"nonsense", "", ""},
		{"6", "", ""},
		{"../6.1", "", ""},
	} {
		if got := SeriesOf(tc.version); got != tc.series {
			t.Errorf("series of %q: %q, want %q", tc.version, got, tc.series)
		}
		if got := upstreamOf(tc.version); got != tc.upstream {
			t.Errorf("upstream of %q: %q, want %q", tc.version, got, tc.upstream)
		}
	}
}
