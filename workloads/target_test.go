// SPDX-License-Identifier: Apache-2.0

package workloads

import "testing"

func TestBefore(t *testing.T) {
	for _, tt := range []struct {
		release      string
		major, minor int
		want         bool
	}{
		{"5.10.0-46-cloud-amd64", 5, 19, true},
		{"5.19.0", 5, 19, false},
		{"6.1.0-56-cloud-amd64", 5, 19, false},
		{"6.12.118+deb13-cloud-amd64#2", 6, 2, false},
		{"6.2.0-rc1", 6, 12, true},
		{"5.14.0-427.13.1.el9_4.x86_64", 5, 19, false}, // has what came later
		{"mainline", 5, 19, false},
		{"", 5, 19, false},
	} {
		if got := (Target{Release: tt.release}).Before(tt.major, tt.minor); got != tt.want {
			t.Errorf("%s before %d.%d: %v", tt.release, tt.major, tt.minor, got)
		}
	}
}
