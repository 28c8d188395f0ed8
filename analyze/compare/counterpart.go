// SPDX-License-Identifier: Apache-2.0

package compare

import (
	"slices"

	"github.com/mapprof/mapprof/results"
)

// kind is what scenarios have in common that do the same.
type kind struct {
	ix                 int // of the input
	workload, strategy string
}

// alike are the scenarios of one kind: all, and those of equal parameters.
type alike struct {
	all      []variant
	byParams map[string][]variant
}

func kindsOf(all []variant) map[kind]*alike {
	out := map[kind]*alike{}
	for _, v := range all {
		k := kind{v.ix, v.Scenario.Workload, v.Scenario.Strategy.Requested}
		if out[k] == nil {
			out[k] = &alike{byParams: map[string][]variant{}}
		}
		params := paramsKey(v.Scenario.Params)
		out[k].all = append(out[k].all, v)
		out[k].byParams[params] = append(out[k].byParams[params], v)
	}
	return out
}

// counterparts gives each scenario of the first input the one of another input that
// does the same: of the same parameters where there is one. It goes through each
// group of alike scenarios once, since a run may have thousands.
func counterparts(kinds map[kind]*alike, ix int) map[*results.Scenario]variant {
	out := map[*results.Scenario]variant{}
	for k, first := range kinds {
		other := kinds[kind{ix, k.workload, k.strategy}]
		if k.ix != 0 || other == nil {
			continue
		}
		for params, bases := range first.byParams {
			others := other.byParams[params]
			if len(others) == 0 {
				others = other.all
			}
			pair(bases, others, out)
		}
	}
	return out
}

// pair sets scenarios beside those of the same kernel. Where as many are left on both
// sides, their order tells: a kernel that was changed has another release.
func pair(bases, others []variant, out map[*results.Scenario]variant) {
	taken := map[*results.Scenario]bool{}
	for _, kernel := range []func(v variant) string{
		func(v variant) string { return v.Scenario.Kernel + "\x00" + v.target.Kernel.SHA256 },
		func(v variant) string { return v.Scenario.Kernel + "\x00" },
		func(v variant) string { return v.target.Kernel.Requested },
	} {
		ofBases, ofOthers := byKernel(bases, kernel), byKernel(others, kernel)
		for _, v := range bases {
			_, has := out[v.Scenario]
			name := kernel(v)
			if same := ofOthers[name]; !has && name != "" && len(same) == 1 && len(ofBases[name]) == 1 {
				out[v.Scenario] = same[0]
				taken[same[0].Scenario] = true
			}
		}
	}
	bases = slices.DeleteFunc(slices.Clone(bases), func(v variant) bool { _, has := out[v.Scenario]; return has })
	others = slices.DeleteFunc(slices.Clone(others), func(v variant) bool { return taken[v.Scenario] })
	if len(bases) != len(others) {
		return
	}
	for i, v := range bases {
		out[v.Scenario] = others[i]
	}
}

func byKernel(vs []variant, kernel func(v variant) string) map[string][]variant {
	out := map[string][]variant{}
	for _, v := range vs {
		out[kernel(v)] = append(out[kernel(v)], v)
	}
	return out
}
