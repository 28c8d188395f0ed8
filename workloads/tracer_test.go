// SPDX-License-Identifier: Apache-2.0

package workloads

import "testing"

// TestAround: another thread's call that was long under way is not the one.
func TestAround(t *testing.T) {
	calls := Calls{List: []Call{{TID: 1, BeginNS: 100, EndNS: 900}, {TID: 2, BeginNS: 300, EndNS: 400}, {TID: 3, BeginNS: 320, EndNS: 330}}}
	for _, tt := range []struct{ ns, since, begin int64 }{
		{350, 200, 300}, {350, 0, 300}, {325, 0, 320}, {500, 0, 100}, {500, 200, 0}, {50, 0, 0}, {950, 0, 0},
	} {
		c, found := calls.Around(tt.ns, tt.since)
		if c.BeginNS != tt.begin || found != (tt.begin != 0) {
			t.Errorf("at %d since %d: %+v, %v", tt.ns, tt.since, c, found)
		}
	}
}
