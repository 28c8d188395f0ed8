// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapcalls

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
	"github.com/mapprof/mapprof/workloads/mapops"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--map=hash,lpm-trie,percpu-hash-noprealloc --op=lookup --batch=256 --count=1", ""},
		{"--batch=1 --count=400", ""},
		{"--map=queue", "--map \"queue\" is not one of"},
		{"--op=peek", "--op \"peek\" is not one of"},
		{"--batch=0", "--batch must be from 1 to 256"},
		{"--batch=257", "--batch must be from 1 to 256"},
		{"--count=0", "--count must be from 1 to 12 with --batch 32"},
		{"--count=13", "--count must be from 1 to 12 with --batch 32"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, results.StrategyNone, tt.want)
	}
	workloadtest.CheckArgs(t, new(Workload), "", results.StrategyRCU, "strategy")
}

// TestKeep: waits within a call on its thread are its own, and no others; a refusal is a
// figure apart.
func TestKeep(t *testing.T) {
	i := &instance{cfg: &Workload{Batch: 32}, result: workloads.Result{Metrics: map[string]workloads.Metric{}}}
	f := &filled{kind: mapops.Kind{Name: "array-of-maps"}, inner: []*ebpf.Map{nil}}
	traced := map[string]workloads.Calls{
		"waits":           {List: []workloads.Call{{TID: 7, BeginNS: 110, EndNS: 120}, {TID: 7, BeginNS: 130, EndNS: 150}, {TID: 8, BeginNS: 130, EndNS: 140}, {TID: 7, BeginNS: 210, EndNS: 310}}},
		"waits.expedited": {List: []workloads.Call{{TID: 7, BeginNS: 160, EndNS: 165}}},
	}
	spans := []mapops.Span{{Begin: 100, End: 200}, {Begin: 300, End: 450}}
	i.keep(f, calls{op: findOp("lookup-batch"), spans: spans}, traced, 7)
	i.keep(f, calls{op: findOp("delete-batch"), spans: spans, refusal: unix.Errno(524)}, traced, 7)
	i.keep(f, calls{op: findOp("update")}, traced, 7)
	for name, want := range map[string][]float64{
		"calls.array-of-maps.lookup-batch": {100, 150}, "calls.array-of-maps.lookup-batch.waits": {3, 0}, "calls.array-of-maps.lookup-batch.waiting": {35},
		"calls.array-of-maps.delete-batch.refused": {100, 150}, "calls.array-of-maps.delete-batch.refused.waits": {3, 0}, "calls.array-of-maps.update": nil,
	} {
		if got := i.result.Metrics[name].Values; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if want := []string{
		"array-of-maps: lookup-batch of 32 gives ids of inner maps; waits of each of 2 calls: 0 to 3",
		"array-of-maps: delete-batch of 32: refused (ENOTSUPP); waits of each of 2 calls: 0 to 3",
	}; !slices.Equal(i.result.Findings, want) {
		t.Errorf("%q", i.result.Findings)
	}
}

// TestLookupIsChecked: a wrong value, a key that isn't there and a short batch are told.
func TestLookupIsChecked(t *testing.T) {
	made := func() *filled {
		return &filled{kind: mapops.Kind{Key: 1}, valueSize: 2, keys: []byte{1, 2}, written: []byte{10, 10, 20, 20}, read: []byte{20, 20, 10, 10}, readKeys: []byte{2, 1}}
	}
	single, batch := op{cmd: unix.BPF_MAP_LOOKUP_ELEM, reads: true}, op{cmd: unix.BPF_MAP_LOOKUP_BATCH, reads: true, batched: true}
	for _, tt := range []struct {
		o      op
		key, n int
		change func(*filled)
		want   string
	}{
		{batch, 0, 2, func(*filled) {}, ""},
		{batch, 0, 1, func(*filled) {}, "gave 1 elements of 2"},
		{batch, 0, 2, func(f *filled) { f.read[1]++ }, "of key 1 gave 14 15, not 14 14"},
		{batch, 0, 2, func(f *filled) { f.readKeys[0] = 9 }, "gave a key that the map hasn't"},
		{single, 1, 1, func(f *filled) { copy(f.read[2:], []byte{20, 20}) }, ""},
		{single, 1, 1, func(*filled) {}, "of key 1 gave 0a 0a, not 14 14"},
	} {
		f := made()
		tt.change(f)
		got := ""
		if err := f.check(tt.o, tt.key, tt.n); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestSpec: an LRU's room is more than what its CPUs keep, or it would evict.
func TestSpec(t *testing.T) {
	w := &Workload{Batch: 32}
	for _, name := range mapNames {
		k, _ := mapops.FindKind(name)
		if got := w.spec(k).MaxEntries; strings.HasPrefix(name, "lru") && got != 32+lruSlack || name == "array" && got != 32 {
			t.Errorf("%s has %d", name, got)
		}
	}
}
