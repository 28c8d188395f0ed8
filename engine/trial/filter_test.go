// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"os"
	"testing"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
	"github.com/mapprof/mapprof/workloads"
)

func TestWants(t *testing.T) {
	d := &results.Death{MapName: "cilium_ct", MapType: "LRUHash", Comm: "kworker/0:1", Owner: &results.Owner{
		OuterName: "outer", Creator: "agent", Cgroup: "/kubepods.slice/pod1/c1"}}
	for _, tt := range []struct {
		name   string
		f      workloads.Filter
		inTree bool
		want   bool
	}{
		{"nothing asked for", workloads.Filter{}, false, true},
		{"a name", workloads.Filter{MapNames: []string{"x", "cilium_*"}}, false, true},
		{"another name", workloads.Filter{MapNames: []string{"cilium"}}, false, false},
		{"a type", workloads.Filter{MapTypes: []string{"LRUHash"}}, false, true},
		{"another type", workloads.Filter{MapTypes: []string{"Hash"}}, false, false},
		{"its creator", workloads.Filter{Comms: []string{"agent"}}, false, true},
		{"who dropped it", workloads.Filter{Comms: []string{"kworker*"}}, false, true},
		{"somebody else", workloads.Filter{Comms: []string{"agen"}}, false, false},
		{"its cgroup", workloads.Filter{Cgroups: []string{"kubepods.slice/pod1/"}}, false, true},
		{"one that begins alike", workloads.Filter{Cgroups: []string{"/kubepods.slice/pod"}}, false, false},
		{"the root", workloads.Filter{Cgroups: []string{"/"}}, false, true},
		{"its outer map", workloads.Filter{OuterNames: []string{"out?r"}}, false, true},
		{"another process", workloads.Filter{PID: 7}, false, false},
		{"its process", workloads.Filter{PID: 7}, true, true},
		{"one of two", workloads.Filter{MapNames: []string{"cilium_ct"}, OuterNames: []string{"x"}}, true, false},
	} {
		if got := wants(&tt.f, d, tt.inTree); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestLiveFilter: a live map is wanted where one that holds it fits, or its creator.
func TestLiveFilter(t *testing.T) {
	here := uint32(os.Getpid())
	c := &collect.Candidate{Name: "conns", Type: "Hash", Creator: "maker", Cgroup: "/a/b", Holders: []inventory.Holder{
		{Kind: inventory.FD, Comm: "agent", PID: here}, {Kind: inventory.Outer, Name: "routes"},
	}}
	for _, tt := range []struct {
		f    workloads.Filter
		want bool
	}{
		{workloads.Filter{}, true},
		{workloads.Filter{MapNames: []string{"con*"}, MapTypes: []string{"Hash"}}, true},
		{workloads.Filter{MapNames: []string{"con"}}, false},
		{workloads.Filter{MapTypes: []string{"Array"}}, false},
		{workloads.Filter{Comms: []string{"agent"}}, true},
		{workloads.Filter{Comms: []string{"maker"}}, true},
		{workloads.Filter{Comms: []string{"other"}}, false},
		{workloads.Filter{OuterNames: []string{"rou*"}}, true},
		{workloads.Filter{OuterNames: []string{"agent"}}, false},
		{workloads.Filter{Cgroups: []string{"a"}}, true},
		{workloads.Filter{Cgroups: []string{"no/such"}}, false},
		{workloads.Filter{PID: here}, true},
		{workloads.Filter{PID: uint32(os.Getppid())}, true},
		{workloads.Filter{PID: 1 << 30}, false},
	} {
		if got := liveFilter(&tt.f)(c); got != tt.want {
			t.Errorf("%+v: %v", tt.f, got)
		}
	}
}
