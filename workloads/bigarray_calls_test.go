// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"math"
	"strings"
	"testing"
)

// Other threads call the same functions, some for longer: what counts is the
// array's own call, and what is called within it.
func TestKeepCall(t *testing.T) {
	const own, other = 7, 8
	calls := map[string]Calls{
		"alloc": {Function: "array_map_alloc", List: []Call{{own, 10, 90}, {other, 5, 400}, {own, 110, 300}}},
		"area":  {Function: "area_alloc", List: []Call{{other, 25, 85}, {own, 20, 40}, {own, 50, 60}, {own, 120, 290}}},
		"none":  {Function: "vfree", List: []Call{{other, 20, 30}}, Unseen: 2},
	}
	create := Call{own, 0, 100}
	for _, tt := range []struct {
		name   string
		within Call
		want   Call
		how    string
	}{
		{"alloc", create, Call{own, 10, 90}, "array_map_alloc, fentry to fexit"},
		{"alloc", Call{EndNS: math.MaxInt64}, Call{other, 5, 400}, "the longest of 3 calls of array_map_alloc, fentry to fexit"},
		{"area", Call{own, 10, 90}, Call{own, 20, 40}, "the longest of 2 calls of area_alloc, fentry to fexit"},
		{"alloc", Call{0, 0, 100}, Call{own, 10, 90}, "array_map_alloc, fentry to fexit"}, // of any thread
		{"none", Call{own, 0, 100}, Call{own, 0, 100}, ""},
		{"not attached", create, create, ""},
	} {
		i := &bigInstance{result: Result{Metrics: map[string]Metric{}}}
		if got := i.keepCall(tt.name, calls, tt.within); got != tt.want {
			t.Errorf("%s within %+v: %+v, want %+v", tt.name, tt.within, got, tt.want)
		}
		m, kept := i.result.Metrics[tt.name]
		if m.How != tt.how || kept && m.Values[0] != float64(tt.want.EndNS-tt.want.BeginNS) {
			t.Errorf("%s within %+v: kept %+v", tt.name, tt.within, m)
		}
		warns := strings.Join(i.result.Warnings, "\n")
		if want := map[bool]string{true: "none: none of 1 calls of vfree is the array's (2 more were not seen whole)"}[tt.name == "none"]; warns != want {
			t.Errorf("%s: warns %q", tt.name, warns)
		}
	}
}
