// SPDX-License-Identifier: Apache-2.0

package model

import (
	"strings"
	"testing"

	"github.com/mapprof/mapprof/report/internal/fixture"
)

func TestLabels(t *testing.T) {
	load := func(f fixture.Churn) *Loaded {
		l, err := Load(f.WriteTemp(t))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a := load(fixture.Churn{Kernels: fixture.TwoKernels, Strategies: fixture.TwoStrategies, Deaths: 5})
	b := load(fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies, Deaths: 5})
	a.Name, b.Name = "before", "after"
	one := load(fixture.Churn{Kernels: fixture.TwoKernels[:1], Strategies: fixture.TwoStrategies[:1], Deaths: 5})
	same := EntriesOf([]*Loaded{one, one}, Filter{}, "")
	for _, c := range []struct {
		name    string
		entries []*Entry
		want    string // label/facet/series/colour of each
	}{
		{"one run", EntriesOf([]*Loaded{a}, Filter{}, ""), "6.12.117 · rcu/6.12.117/rcu/c0, 6.12.117 · tasks-trace/6.12.117/tasks-trace/c1, 7.2.12 · rcu/7.2.12/rcu/c0, 7.2.12 · tasks-trace/7.2.12/tasks-trace/c1"},
		{"filtered", EntriesOf([]*Loaded{a}, Filter{Kernel: fixture.TwoKernels[1], Strategy: "rcu"}, ""), "rcu/7.2.12/rcu/c0"},
		{"nothing fits", EntriesOf([]*Loaded{a}, Filter{MapType: "devmap"}, ""), ""},
		{"two runs", EntriesOf([]*Loaded{a, b}, Filter{Strategy: "rcu", Kernel: fixture.TwoKernels[0]}, ""), "before/rcu/before/c0, after/rcu/after/c1"},
		{"by strategy", EntriesOf([]*Loaded{a}, Filter{Strategy: "rcu"}, FacetStrategy), "6.12.117/rcu/6.12.117/c0, 7.2.12/rcu/7.2.12/c1"},
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
