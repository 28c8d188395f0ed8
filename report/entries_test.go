// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	load := func(f fixture) *Loaded {
		l, err := Load(f.writeTemp(t))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a := load(fixture{kernels: twoKernels, strategies: twoStrategies, deaths: 5})
	b := load(fixture{kernels: twoKernels[:1], strategies: twoStrategies, deaths: 5})
	a.Name, b.Name = "before", "after"
	one := load(fixture{kernels: twoKernels[:1], strategies: twoStrategies[:1], deaths: 5})
	same := newEntries([]*Loaded{one, one}, Filter{}, "")
	for _, c := range []struct {
		name    string
		entries []*entry
		want    string // label/facet/series/colour of each
	}{
		{"one run", newEntries([]*Loaded{a}, Filter{}, ""), "6.12.117 · rcu/6.12.117/rcu/c0, 6.12.117 · tasks-trace/6.12.117/tasks-trace/c1, 7.2.12 · rcu/7.2.12/rcu/c0, 7.2.12 · tasks-trace/7.2.12/tasks-trace/c1"},
		{"filtered", newEntries([]*Loaded{a}, Filter{Kernel: twoKernels[1], Strategy: "rcu"}, ""), "rcu/7.2.12/rcu/c0"},
		{"nothing fits", newEntries([]*Loaded{a}, Filter{MapType: "devmap"}, ""), ""},
		{"two runs", newEntries([]*Loaded{a, b}, Filter{Strategy: "rcu", Kernel: twoKernels[0]}, ""), "before/rcu/before/c0, after/rcu/after/c1"},
		{"by strategy", newEntries([]*Loaded{a}, Filter{Strategy: "rcu"}, FacetStrategy), "6.12.117/rcu/6.12.117/c0, 7.2.12/rcu/7.2.12/c1"},
		{"equal names", same, "run/rcu/run/c0, run (2)/rcu/run (2)/c1"},
	} {
		var got []string
		for _, e := range c.entries {
			got = append(got, e.Label+"/"+e.Facet+"/"+e.Series+"/"+e.Color)
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
	}
}
