// SPDX-License-Identifier: Apache-2.0

//go:build linux

package structops

import (
	"bytes"
	"slices"
	"strings"
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
		{"--count=1", ""},
		{"--count=0", "--count must be from 1 to 65536"},
		{"--count=65537", "--count must be from 1 to 65536"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyAny, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
	for release, refused := range map[string]bool{"5.4.0": true, "5.6.0": false, "7.2.1": false} {
		if err := new(Workload).CheckTarget(results.StrategyAny, workloads.Target{Release: release}); (err != nil) != refused {
			t.Errorf("%s: %v", release, err)
		}
	}
}

// congestionOps is a value with the members in another order than the kernel's.
func congestionOps(names ...string) *btf.Struct {
	ops := &btf.Struct{Name: opsName, Size: uint32(8 * len(names))}
	for n, name := range names {
		ops.Members = append(ops.Members, btf.Member{Name: name, Offset: btf.Bits(64 * n)})
	}
	return &btf.Struct{Name: valuePrefix + opsName, Size: 64 + ops.Size, Members: []btf.Member{
		{Name: "common", Type: &btf.Struct{Name: "bpf_struct_ops_common"}}, {Name: "data", Type: ops, Offset: 64 * 8},
	}}
}

func TestLayout(t *testing.T) {
	l, err := layoutOf(congestionOps("undo_cwnd", "ssthresh", "key", "cong_avoid", "name", "owner"))
	if err != nil || l.bytes != 64+48 || l.members["ssthresh"] != 72 || l.members["name"] != 96 {
		t.Errorf("%+v: %v", l, err)
	}
	if v := l.value("mp_ops_1", nil); len(v) != 112 || !bytes.Equal(v[96:104], []byte("mp_ops_1")) {
		t.Errorf("%q", v)
	}
	if _, err := layoutOf(congestionOps("undo_cwnd", "ssthresh", "name")); err == nil || !strings.Contains(err.Error(), "no member cong_avoid") {
		t.Error(err)
	}
}

// TestKeep: a wait within an unregistering on its thread is its own, and any other is not.
func TestKeep(t *testing.T) {
	i := &instance{result: workloads.Result{Metrics: map[string]workloads.Metric{}}}
	i.keep([]life{
		{mapops.Span{Begin: 10, End: 20}, mapops.Span{Begin: 100, End: 200}, mapops.Span{Begin: 201, End: 203}},
		{mapops.Span{Begin: 210, End: 230}, mapops.Span{Begin: 300, End: 450}, mapops.Span{Begin: 451, End: 452}},
	}, map[string]workloads.Calls{waits: {Function: "f", List: []workloads.Call{
		{TID: 7, BeginNS: 110, EndNS: 190}, {TID: 8, BeginNS: 310, EndNS: 320}, {TID: 7, BeginNS: 440, EndNS: 460},
	}}}, 7)
	for name, want := range map[string][]float64{
		"structops.register": {10, 20}, "structops.unregister": {100, 150}, "structops.close": {2, 1}, waits: {80},
	} {
		if got := i.result.Metrics[name].Values; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if want := []string{"2 maps went from INIT to INUSE to TOBEFREE", "of 2 maps, 1 waited in f while they were unregistered"}; !slices.Equal(i.result.Findings, want) {
		t.Errorf("found %q, want %q", i.result.Findings, want)
	}
	// Where nothing was timed there is no figure.
	i.result.Metrics = map[string]workloads.Metric{}
	i.keep([]life{{mapops.Span{Begin: 10, End: 20}, mapops.Span{Begin: 100, End: 200}, mapops.Span{Begin: 201, End: 203}}}, nil, 7)
	if len(i.result.Metrics) != 3 {
		t.Errorf("%+v", i.result.Metrics)
	}
}
