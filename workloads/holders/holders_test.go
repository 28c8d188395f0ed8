// SPDX-License-Identifier: Apache-2.0

//go:build linux

package holders

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--by=scm-rights,pin --after=1ms --count=1 --references=500000", ""},
		{"--by=", "--by"},
		{"--by=pin,nobody", `--by "nobody" is not one of`},
		{"--by=pin,pin", "--by names pin twice"},
		{"--after=0s", "--after must be from 1ms to 1m0s"},
		{"--after=61s", "--after must be from 1ms to 1m0s"},
		{"--count=0", "--count must be from 1 to 1000"},
		{"--count=1001", "--count must be from 1 to 1000"},
		{"--references=500001", "--references must be from 0 to 500000"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyAny, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
}

func named(t *testing.T, name string) *way {
	t.Helper()
	at := slices.IndexFunc(ways, func(w way) bool { return w.name == name })
	if at < 0 {
		t.Fatalf("no holder %s", name)
	}
	return &ways[at]
}

// TestWrong: a holder that isn't named is a failure where the inventory looks for it, and
// so is one that is named where there is none to be seen.
func TestWrong(t *testing.T) {
	pin := []workloads.Holder{{Kind: inventory.Pin, Text: "pin x"}}
	for _, tt := range []struct {
		by   string
		h    workloads.Holding
		want bool
	}{
		{"pin", workloads.Holding{There: true, Holders: pin, References: 1}, false},
		{"pin", workloads.Holding{There: true, Holders: pin, References: 2, Unaccounted: 1}, true},
		{"pin", workloads.Holding{There: true, References: 1, Unaccounted: 1}, true},
		{"pin", workloads.Holding{There: true, References: 1, Unread: []string{"pins"}}, false},
		{"pin", workloads.Holding{}, true},
		{"program", workloads.Holding{There: true, Holders: pin, References: 1}, true},
		{"scm-rights", workloads.Holding{There: true, References: 1, Unaccounted: 1}, false},
		{"scm-rights", workloads.Holding{There: true, References: 2, Unaccounted: 2}, true},
		{"scm-rights", workloads.Holding{There: true, Holders: pin, References: 1}, true},
		{"scm-rights", workloads.Holding{}, true},
		{"iterator-fd", workloads.Holding{}, false},
	} {
		if got := wrong(named(t, tt.by), tt.h); (got != "") != tt.want {
			t.Errorf("%s: %+v: %q", tt.by, tt.h, got)
		}
	}
}

// TestComm: a callback of RCU is nobody's.
func TestComm(t *testing.T) {
	for _, tt := range []struct {
		d    workloads.Death
		want string
	}{
		{workloads.Death{Comm: "init", Stack: []string{"bpf_map_put", "bpf_free_inode", "rcu_core", "__softirqentry_text_start"}}, "a softirq, in bpf_free_inode < rcu_core < __softirqentry_text_start"},
		{workloads.Death{Comm: "init", Stack: []string{"bpf_map_put", "destroy_inode"}}, "init, in destroy_inode"},
		{workloads.Death{Comm: "kworker/u8:1"}, "a kworker"},
	} {
		if got := lastPut(tt.d); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestConclude: each map's times are by its own death, a program's wait by the free that
// its last put is in, and a map without a death has none.
func TestConclude(t *testing.T) {
	i := &instance{freed: workloads.Calls{Function: "bpf_prog_free_deferred", List: []workloads.Call{{BeginNS: 10, EndNS: 20}, {BeginNS: 400, EndNS: 500}}}}
	program, pin := named(t, "program"), named(t, "pin")
	holding := workloads.Holding{There: true, References: 1, Holders: []workloads.Holder{{Kind: inventory.Program, Text: "program p"}}}
	i.held = []heldMap{
		{way: program, id: 7, closed: 100, letGo: 150, holding: holding},
		{way: pin, id: 8, closed: 600, letGo: 650, holding: workloads.Holding{There: true, References: 1, Holders: []workloads.Holder{{Kind: inventory.Pin}}}},
		{way: program, id: 9, closed: 700, letGo: 750, holding: holding},
	}
	i.SetHolders(func(uint32) (workloads.Holding, error) { return workloads.Holding{}, nil }, nil)
	r := workloads.Result{Metrics: map[string]workloads.Metric{}}
	i.Conclude([]workloads.Death{
		{MapID: 7, PutNS: 450, FreedNS: 480, Comm: "kworker/0:1"},
		{MapID: 8, PutNS: 660, FreedNS: 700, Comm: "init", Stack: []string{"bpf_map_put", "bpf_trampoline_7", "destroy_inode", "do_unlinkat"}},
	}, &r)
	for name, want := range map[string][]float64{
		"holders.held.program": {350}, "holders.last_put.program": {300}, "holders.program_free.program": {250}, "holders.limbo.program": {30},
		"holders.held.pin": {60}, "holders.last_put.pin": {10}, "holders.program_free.pin": nil, "holders.limbo.pin": {40},
	} {
		if got := r.Metrics[name].Values; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	want := []string{
		"pin: held by pin in /sys/fs/bpf; last put by init, in destroy_inode < do_unlinkat",
		"program: held by program p; last put by a kworker of bpf_prog_free_deferred, after the program's own grace period",
	}
	if !slices.Equal(r.Findings, want) || r.Failures != nil {
		t.Errorf("found %q, failures %q", r.Findings, r.Failures)
	}
	// Nobody can be asked: that is said, and no failure.
	i.SetHolders(nil, errors.New("no iterators"))
	r = workloads.Result{Metrics: map[string]workloads.Metric{}}
	if i.Conclude(nil, &r); len(r.Metrics) != 0 || r.Failures != nil || !strings.Contains(r.Findings[0], "was not asked (no iterators)") {
		t.Errorf("%+v", r)
	}
}
