// SPDX-License-Identifier: Apache-2.0

//go:build linux

package programs

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--globals=255 --count=30", ""},
		{"--globals=0", "--globals must be from 1 to 255"},
		{"--globals=256", "--globals must be from 1 to 255"},
		{"--count=0", "--count must be from 1 to 30"},
		{"--count=31", "--count must be from 1 to 30"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyAny, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
}

// TestWithFunctions: both kinds are the same instructions, but for what BTF says of the
// functions.
func TestWithFunctions(t *testing.T) {
	counts := map[btf.FuncLinkage]int{}
	for _, linkage := range []btf.FuncLinkage{btf.GlobalFunc, btf.StaticFunc} {
		spec := withFunctions(7, linkage)
		counts[linkage] = len(spec.Instructions)
		functions := 0
		for i := range spec.Instructions {
			if f := btf.FuncMetadata(&spec.Instructions[i]); f != nil && f.Name != "mp_verified" {
				functions++
				if f.Linkage != linkage {
					t.Errorf("%s is %v", f.Name, f.Linkage)
				}
			}
		}
		if functions != 7 {
			t.Errorf("%v: %d functions", linkage, functions)
		}
	}
	if counts[btf.GlobalFunc] != counts[btf.StaticFunc] {
		t.Errorf("instructions: %v", counts)
	}
}

// TestLateStacks: a trampoline with another function's name is a failure.
func TestLateStacks(t *testing.T) {
	i := &instance{lateIs: trampoline(1, 39853)}
	good := workloads.Death{Stack: []string{"bpf_map_put", freeing, "bpf_trampoline_6442490797", freeing, "bpf_prog_free_deferred"}}
	bad := workloads.Death{Stack: []string{"bpf_map_put", freeing, "__init_scratch_end", freeing}}
	another := workloads.Death{Stack: []string{"bpf_map_put", freeing, "bpf_trampoline_6442542751", freeing}}
	for _, tt := range []struct {
		deaths   []workloads.Death
		finding  string
		failures int
	}{
		{[]workloads.Death{good, good}, "stack of a last put through a trampoline", 0},
		{[]workloads.Death{good, bad}, "stack of a last put through a trampoline", 1},
		{[]workloads.Death{another}, "", 1},
		{[]workloads.Death{{Stack: []string{freeing}}}, "", 1},
		{[]workloads.Death{{}}, "no last put was seen in", 0},
	} {
		var r workloads.Result
		if i.lateStacks(tt.deaths, &r); !strings.HasPrefix(strings.Join(r.Findings, ""), tt.finding) || (tt.finding == "") != (r.Findings == nil) || len(r.Failures) != tt.failures {
			t.Errorf("%+v: %+v", tt.deaths, r)
		}
	}
}

// TestConclude: a call of the verifier is of the load that it is in, on its thread; a
// program's wait ends where the free begins that its map's last put is in.
func TestConclude(t *testing.T) {
	i := &instance{
		cfg: &Workload{Globals: 1}, tid: 7,
		loads:   []load{{"globals", 100, 200}, {"statics", 300, 400}},
		unloads: []unload{{"fentry", 5, 1000}, {"fentry", 6, 2000}},
		attach:  map[string][]float64{"fentry": {9}, "kernel": {11}},
		detach:  []float64{12},
		calls: map[string]workloads.Calls{
			"verify": {Function: "do_check_common", List: []workloads.Call{
				{TID: 7, BeginNS: 110, EndNS: 120}, {TID: 7, BeginNS: 130, EndNS: 170}, {TID: 8, BeginNS: 110, EndNS: 190},
				{TID: 7, BeginNS: 310, EndNS: 390}, {TID: 7, BeginNS: 390, EndNS: 410},
			}},
			"free": {Function: "bpf_prog_free_deferred", List: []workloads.Call{{BeginNS: 1100, EndNS: 1200}, {BeginNS: 1150, EndNS: 1170}}},
		},
	}
	r := workloads.Result{Metrics: map[string]workloads.Metric{}}
	i.Conclude([]workloads.Death{{MapID: 5, PutNS: 1110}, {MapID: 6, PutNS: 2100}}, &r)
	for name, want := range map[string][]float64{
		"programs.load.globals": {100}, "programs.verify.calls.globals": {2}, "programs.verify.call.globals": {10, 40}, "programs.verify.longest.globals": {40},
		"programs.load.statics": {100}, "programs.verify.calls.statics": {1}, "programs.verify.call.statics": {80}, "programs.verify.longest.statics": {80},
		"programs.attach.fentry": {9}, "programs.attach.kernel": {11}, "programs.detach.kernel": {12}, "programs.free.fentry": {100}, "programs.free.target": nil,
	} {
		if got := r.Metrics[name].Values; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
