// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mapprof/mapprof/workloads"
)

// traced runs f, with the calls of functions where something can time them.
func (i *instance) traced(functions map[string][]string, f func() error) (map[string]workloads.Calls, error) {
	if i.tracer == nil {
		return nil, f()
	}
	return i.tracer.Calls(functions, f)
}

// keepCall keeps how long the longest of the calls under a name took, of those
// within a time and by its thread (0: by any), and returns it. Others make and
// free maps too. Where there is none, it is the time itself.
func (i *instance) keepCall(name string, calls map[string]workloads.Calls, within workloads.Call) workloads.Call {
	all, ok := calls[name]
	if !ok {
		return within
	}
	ours := callsWithin(all, within)
	if len(ours) == 0 {
		i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("%s: none of %d calls of %s is the array's (%d more were not seen whole)", name, len(all.List), all.Function, all.Unseen))
		return within
	}
	longest := slices.MaxFunc(ours, func(a, b workloads.Call) int { return cmp.Compare(a.EndNS-a.BeginNS, b.EndNS-b.BeginNS) })
	how := all.Function + ", fentry to fexit"
	if len(ours) > 1 {
		how = fmt.Sprintf("the longest of %d calls of %s", len(ours), how)
	}
	i.one(name, "ns", how, float64(longest.EndNS-longest.BeginNS))
	return longest
}

// callsWithin are the calls within a time, by its thread unless that is 0.
func callsWithin(c workloads.Calls, time workloads.Call) []workloads.Call {
	var out []workloads.Call
	for _, call := range c.List {
		if call.BeginNS >= time.BeginNS && call.EndNS <= time.EndNS && (time.TID == 0 || call.TID == time.TID) {
			out = append(out, call)
		}
	}
	return out
}
