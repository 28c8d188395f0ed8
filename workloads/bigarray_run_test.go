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
		{"none", create, Call{}, ""},
		{"not attached", create, Call{}, ""},
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

// The memory in limbo is known where freeing has not begun when it was read.
func TestKeepLimbo(t *testing.T) {
	for _, tt := range []struct {
		strategy  string
		limbo     limboMemory
		freeBegan int64
		want      string
	}{
		{StrategyRCU, limboMemory{5, 100, true}, 200, "kept"},
		{StrategyRCU, limboMemory{5, 100, false}, 200, "kept"},
		{StrategyRCU, limboMemory{5, 100, true}, 0, "kept"}, // nothing says when, but the call waited
		{StrategyRCU, limboMemory{5, 100, false}, 0, "warned"},
		{StrategyRCU, limboMemory{5, 100, true}, 100, "warned"},
		{StrategyRCU, limboMemory{5, 300, false}, 200, "warned"},
		{StrategyImmediate, limboMemory{5, 100, false}, 200, ""},
	} {
		i := &bigInstance{strategy: tt.strategy, limbo: tt.limbo, result: Result{Metrics: map[string]Metric{}}}
		i.keepLimbo(tt.freeBegan)
		got := ""
		if m, ok := i.result.Metrics["memory.limbo"]; ok && m.Values[0] == 5 {
			got = "kept"
		}
		if len(i.result.Warnings) > 0 {
			got += "warned"
		}
		if got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
