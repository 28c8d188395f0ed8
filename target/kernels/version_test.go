// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"context"
	"testing"
	"time"
)

// TestCannotBe: what is no kernel yet, or is too old, is known without an
// archive.
func TestCannotBe(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for name, possible := range map[string]bool{
		"5.10": true, "5.10.258": true, "6.12": true, "6.1.0-56-cloud-amd64": true, "7.2": true, "7.9": true, "7.19": true, "8.0": true,
		"9.9": false, "9.9.1": false, "12.0": false, "99.99-1": false, "5.9": false, "4.19": false, "4.19.0-5-cloud-amd64": false, "0.1": false,
	} {
		for _, at := range []time.Time{now, {}} { // one of them a clock that isn't set
			if why := cannotBe(name, at); (why == "") != possible {
				t.Errorf("%s at %v: %q", name, at, why)
			}
		}
	}
	if why := cannotBe("9.9", now.AddDate(8, 0, 0)); why != "" {
		t.Errorf("9.9 in eight years: %s", why)
	}
	// Nothing is asked for it, and there is nothing to ask.
	t.Setenv("PATH", t.TempDir())
	t.Setenv("MAPPROF_CACHE", t.TempDir())
	for _, find := range []func(context.Context, string, Options) (Kernel, error){Resolve, Fetch} {
		_, err := find(t.Context(), "9.9", Options{})
		if want := `resolve kernel "9.9": no such series or release (no such Linux is out yet)`; err == nil || err.Error() != want {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

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
