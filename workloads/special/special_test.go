// SPDX-License-Identifier: Apache-2.0

//go:build linux

package special

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
	"github.com/mapprof/mapprof/workloads/mapops"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--field=none --map=lru-hash --entries=1 --filled=0 --count=1", ""},
		{"--field=kptr-ref --map=percpu-array", ""},
		{"--field=list --as-inner", ""},
		{"--field=mutex", "--field"},
		{"--map=queue", "--map"},
		{"--entries=0", "--entries must be from 1 to 1048576"},
		{"--entries=1048577", "--entries must be from 1 to 1048576"},
		{"--filled=101", "--filled must be from 0 to 100"},
		{"--count=0", "--count must be from 1 to 65536"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyAny, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
}

// TestElements: a part of an element is one.
func TestElements(t *testing.T) {
	for _, tt := range []struct{ entries, filled, want uint32 }{{1000, 100, 1000}, {1000, 0, 0}, {3, 1, 1}, {1000, 50, 500}, {1 << 20, 100, 1 << 20}} {
		w := &Workload{Entries: tt.entries, Filled: tt.filled}
		if got := w.elements(); got != tt.want {
			t.Errorf("%d%% of %d: %d, want %d", tt.filled, tt.entries, got, tt.want)
		}
	}
}

// TestKeep: a call within a close on its thread is that close's, and any other is not.
func TestKeep(t *testing.T) {
	i := &instance{result: workloads.Result{Metrics: map[string]workloads.Metric{}}}
	i.keep([]mapops.Span{{Begin: 100, End: 200}, {Begin: 300, End: 450}}, map[string]workloads.Calls{"special.cancel": {Function: "f", List: []workloads.Call{
		{TID: 7, BeginNS: 110, EndNS: 190}, {TID: 8, BeginNS: 310, EndNS: 320}, {TID: 7, BeginNS: 310, EndNS: 340}, {TID: 7, BeginNS: 440, EndNS: 460},
	}}}, 7)
	for name, want := range map[string][]float64{"special.close": {100, 150}, "special.cancel.close": {80, 30}, "special.cancel.worker": {10, 20}} {
		if got := i.result.Metrics[name].Values; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if want := []string{"of 2 closes, f ran in 2"}; !slices.Equal(i.result.Findings, want) {
		t.Errorf("found %q, want %q", i.result.Findings, want)
	}
}

// TestKeepElements: calls within the close on its thread are the closer's, later ones the
// worker's, and those before neither's.
func TestKeepElements(t *testing.T) {
	i := &instance{cfg: &Workload{Field: "timer", Entries: 3, Filled: 100}, result: workloads.Result{Metrics: map[string]workloads.Metric{}}}
	i.keepElements(workloads.Calls{Function: "f", List: []workloads.Call{
		{TID: 7, BeginNS: 90, EndNS: 95}, {TID: 7, BeginNS: 110, EndNS: 120}, {TID: 8, BeginNS: 115, EndNS: 118}, {TID: 7, BeginNS: 130, EndNS: 150}, {TID: 9, BeginNS: 210, EndNS: 211},
	}}, mapops.Span{Begin: 100, End: 200}, 7, true)
	for name, want := range map[string][]float64{"special.element.close": {10, 20}, "special.element.worker": {3, 1}} {
		if got := i.result.Metrics[name].Values; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if want := []string{"f of 3 elements: called 2 times within close(2), 2 times by the worker that frees the map"}; !slices.Equal(i.result.Findings, want) {
		t.Errorf("found %q", i.result.Findings)
	}
}

// TestLocalProgram: each kind of field has a program, with an object of the program's own
// type in it.
func TestLocalProgram(t *testing.T) {
	for _, head := range []int32{0, 8} {
		l := &localFields{headAt: head, valueSize: 24, nodeType: 77, kfuncs: map[string]btf.TypeID{"bpf_obj_new_impl": 11, "bpf_obj_drop_impl": 12, "bpf_list_push_back_impl": 13}}
		var called []int64
		allocates := false
		for _, ins := range l.instructions(1, 2) {
			if ins.IsKfuncCall() {
				called = append(called, ins.Constant)
			}
			allocates = allocates || ins.Constant == 77
		}
		want := []int64{11, 12}
		if head > 0 {
			want = []int64{11, 13}
		}
		if !slices.Equal(called, want) || !allocates {
			t.Errorf("head at %d: calls %v, allocates its type: %v", head, called, allocates)
		}
	}
}

// TestTagPointer: the values of a map have the type tag, those of the program's own keep
// none, and what doesn't begin with a pointer is refused.
func TestTagPointer(t *testing.T) {
	spec, err := loadSpecial()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if f.local {
			continue // has no map in the program's file
		}
		m := spec.Maps[f.in+"_inner"]
		before := m.Value
		if err := tagPointer(m, f.tag); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if f.tag == "" {
			continue
		}
		tagged := m.Value.(*btf.Struct).Members[0].Type.(*btf.Pointer).Target.(*btf.TypeTag)
		if _, ok := tagged.Type.(*btf.Struct); !ok || tagged.Value != f.tag || before.(*btf.Struct).Members[0].Type.(*btf.Pointer).Target == tagged {
			t.Errorf("%s: %v of %v", f.name, tagged, m.Value)
		}
	}
	if err := tagPointer(spec.Maps["timer_inner"], "kptr"); err == nil {
		t.Error("a timer was taken for a pointer")
	}
}

func TestCheckTarget(t *testing.T) {
	for _, tt := range []struct {
		field, release string
		refused        bool
	}{{"timer", "5.10.0", true}, {"timer", "6.1.0", false}, {"workqueue", "6.1.0", true}, {"workqueue", "6.12.1", false}, {"kptr", "6.1.0", true}, {"kptr-ref", "6.12.0", false}, {"list", "6.1.0", true}, {"list", "6.2.0", false}, {"local-kptr", "6.3.1", true}, {"local-kptr", "6.4.0", false}, {"none", "5.10.0", false}} {
		w := &Workload{Field: tt.field}
		if err := w.CheckTarget(results.StrategyAny, workloads.Target{Release: tt.release}); (err != nil) != tt.refused {
			t.Errorf("%s on %s: %v", tt.field, tt.release, err)
		}
	}
	for release, refused := range map[string]bool{"6.1.0": true, "6.2.0": false} {
		if err := (&Workload{Field: "spin-lock", AsInner: true}).CheckTarget(results.StrategyAny, workloads.Target{Release: release}); (err != nil) != refused {
			t.Errorf("a spin lock in an inner map on %s: %v", release, err)
		}
	}
}
