// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"math"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/workloads"
)

// Other threads call the same functions, some for longer: what counts is the
// array's own call, and what is called within it.
func TestKeepCall(t *testing.T) {
	const own, other = 7, 8
	calls := map[string]workloads.Calls{
		"alloc": {Function: "array_map_alloc", List: []workloads.Call{{TID: own, BeginNS: 10, EndNS: 90}, {TID: other, BeginNS: 5, EndNS: 400}, {TID: own, BeginNS: 110, EndNS: 300}}},
		"area":  {Function: "area_alloc", List: []workloads.Call{{TID: other, BeginNS: 25, EndNS: 85}, {TID: own, BeginNS: 20, EndNS: 40}, {TID: own, BeginNS: 50, EndNS: 60}, {TID: own, BeginNS: 120, EndNS: 290}}},
		"none":  {Function: "vfree", List: []workloads.Call{{TID: other, BeginNS: 20, EndNS: 30}}, Unseen: 2},
	}
	create := workloads.Call{TID: own, BeginNS: 0, EndNS: 100}
	for _, tt := range []struct {
		name   string
		within workloads.Call
		want   workloads.Call
		how    string
	}{
		{"alloc", create, workloads.Call{TID: own, BeginNS: 10, EndNS: 90}, "array_map_alloc, fentry to fexit"},
		{"alloc", workloads.Call{EndNS: math.MaxInt64}, workloads.Call{TID: other, BeginNS: 5, EndNS: 400}, "the longest of 3 calls of array_map_alloc, fentry to fexit"},
		{"area", workloads.Call{TID: own, BeginNS: 10, EndNS: 90}, workloads.Call{TID: own, BeginNS: 20, EndNS: 40}, "the longest of 2 calls of area_alloc, fentry to fexit"},
		{"alloc", workloads.Call{TID: 0, BeginNS: 0, EndNS: 100}, workloads.Call{TID: own, BeginNS: 10, EndNS: 90}, "array_map_alloc, fentry to fexit"}, // of any thread
		{"none", workloads.Call{TID: own, BeginNS: 0, EndNS: 100}, workloads.Call{TID: own, BeginNS: 0, EndNS: 100}, ""},
		{"not attached", create, create, ""},
	} {
		i := &instance{result: workloads.Result{Metrics: map[string]workloads.Metric{}}}
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
