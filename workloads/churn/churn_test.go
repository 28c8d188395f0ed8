// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/internal/workloadtest"
)

func TestChurnCheck(t *testing.T) {
	for _, tt := range []struct {
		args     string
		strategy string
		want     string // in the error; empty: none
	}{
		{"", results.StrategyRCU, ""},
		{"--outer=hash-of-maps --inner=lru-hash --slots=8 --batch=8 --rate=100 --readers=2", results.StrategyTasksTrace, ""},
		{"", results.StrategySync, ""},
		{"--inner=devmap", results.StrategySync, ""},
		{"--inner=array", results.StrategySync, "map_free waits"},
		{"", "expedite", "unknown strategy"},
		{"--outer=map", results.StrategyRCU, "--outer"},
		{"--inner=trie", results.StrategyRCU, "--inner"},
		{"--op=swap", results.StrategyRCU, "--op"},
		{"--slots=0", results.StrategyRCU, "--slots"},
		{"--batch=2", results.StrategyRCU, "--batch"},
		{"--slots=65536 --fill=330 --batch=330", results.StrategyRCU, ""},
		{"--slots=65536 --fill=330 --batch=331", results.StrategyRCU, "--batch must be from 1 to --fill (330)"},
		{"--slots=8 --fill=9", results.StrategyRCU, "--fill"},
		{"--slots=8 --fill=0", results.StrategyRCU, "--fill"},
		{"--inner=hash --inner-value-size=4194304", results.StrategyRCU, "--inner-value-size 4194304: a Hash's key and value together have less than 4194256 bytes"},
		{"--inner=hash --inner-value-size=4194251", results.StrategyRCU, ""},
		{"--inner=lru-hash --inner-value-size=4194252", results.StrategyRCU, "KMALLOC_MAX_SIZE"},
		{"--inner=percpu-array --inner-value-size=32769", results.StrategyRCU, "PCPU_MIN_UNIT_SIZE"},
		{"--inner=percpu-array --inner-value-size=32768", results.StrategyRCU, ""},
		{"--inner-value-size=4194304", results.StrategyRCU, ""},
		{"--inner=percpu-hash --inner-value-size=32769", results.StrategyRCU, "PCPU_MIN_UNIT_SIZE"},
		{"--inner=unspec", results.StrategyRCU, "--inner \"unspec\" is not one of"},
		{"--inner=percpu-hash-noprealloc --inner-key-size=40 --inner-value-size=3", results.StrategyRCU, ""},
		{"--inner=array --inner-key-size=8", results.StrategyRCU, "--inner-key-size 8: a key of array maps has 4 bytes"},
		{"--inner=hash --inner-key-size=0", results.StrategyRCU, "--inner-key-size must be at least 1"},
		{"--inner=queue --inner-key-size=4", results.StrategyRCU, "--inner-key-size 4: queue maps have no key (leave it out)"},
		{"--inner=queue --inner-value-size=100 --inner-entries=3", results.StrategyRCU, ""},
		{"--inner=queue --inner-value-size=0", results.StrategyRCU, "--inner-value-size must be at least 1"},
		{"--inner=ringbuf --inner-value-size=8", results.StrategyRCU, "ringbuf maps have no value"},
		{"--inner=ringbuf --inner-entries=16", results.StrategyRCU, "ringbuf maps have a power of two of bytes, whole pages of 4096"},
		{"--inner=user-ringbuf --inner-entries=12288", results.StrategyRCU, "a power of two"},
		{"--inner=ringbuf --inner-entries=65536", results.StrategyRCU, ""},
		{"--inner=lpm-trie --inner-key-size=20", results.StrategyRCU, ""},
		{"--inner=lpm-trie --inner-key-size=4", results.StrategyRCU, "a key of lpm-trie maps has from 5 to 260 bytes"},
		{"--inner=lpm-trie --inner-key-size=261", results.StrategyRCU, "from 5 to 260"},
		{"--inner=sockmap --inner-value-size=8", results.StrategyRCU, ""},
		{"--inner=sockmap --inner-value-size=16", results.StrategyRCU, "a value of sockmap maps has 4 or 8 bytes"},
		{"--inner=sockhash --inner-key-size=6", results.StrategyRCU, ""},
		{"--inner=sk-storage --inner-entries=16", results.StrategyRCU, "sk-storage maps have no max_entries (leave it out)"},
		{"--inner=sk-storage --inner-value-size=64", results.StrategyRCU, ""},
		{"--inner=prog-array", results.StrategyRCU, ""}, // for the kernel to refuse
		{"--inner=array-of-maps", results.StrategyImmediate, ""},
		{"--inner=devmap --inner-value-size=0", results.StrategySync, "--inner-value-size"},
		{"--inner=sockhash", results.StrategySync, ""},
		{"--inner=ringbuf", results.StrategySync, "map_free waits"},
		{"--inner=hash-noprealloc --inner-fill=16", results.StrategyRCU, ""},
		{"--inner=hash-noprealloc --inner-fill=17", results.StrategyRCU, "--inner-fill must be at most --inner-entries (16)"},
		{"--inner=hash-noprealloc --inner-key-size=1 --inner-entries=1000 --inner-fill=257", results.StrategyRCU, "at most 256 keys of 1 bytes"},
		{"--inner=queue --inner-fill=16", results.StrategyRCU, ""},
		{"--inner-fill=1", results.StrategyRCU, "array maps take no elements"},
		{"--batch=0", results.StrategyRCU, "--batch"},
		{"--slots=4 --batch=4 --op=delete", results.StrategyRCU, "hash-of-maps"},
		{"--rate=-1", results.StrategyRCU, "--rate"},
		{"--rate=NaN", results.StrategyRCU, "--rate"},
		{"--rate=1e-300", results.StrategyRCU, "--rate"},
		{"--rate=0.001", results.StrategyRCU, ""},
		{"--rate=+Inf", results.StrategyRCU, "--rate"},
		{"--readers=-1", results.StrategyRCU, "--readers"},
		{"--duration=-1s", results.StrategyRCU, "--duration"},
		{"--inner-entries=0", results.StrategyRCU, "--inner-entries"},
		{"--inner-value-size=0", results.StrategyRCU, "--inner-value-size"},
	} {
		workloadtest.CheckArgs(t, new(Workload), tt.args, tt.strategy, tt.want)
	}
}

func TestChurnSaysWhatItDoesByDefault(t *testing.T) {
	c := new(Workload)
	fs := pflag.NewFlagSet("churn", pflag.ContinueOnError)
	c.AddFlags(fs)
	if err := c.Check(results.StrategySync); err != nil {
		t.Fatal(err)
	}
	if p := workloads.Params(fs); p["count"] != "300" || p["inner"] != "devmap" {
		t.Errorf("params %v", p)
	}
}

// TestInnerShapes: a kind has its own shape where none is given, which the result
// shows; what was there before other kinds has what it had.
func TestInnerShapes(t *testing.T) {
	for args, want := range map[string]string{
		"":                                 "array 16 8: key 4 value 8 entries 16 flags 0",
		"--inner=devmap":                   "devmap 16 8: key 4 value 4 entries 16 flags 0",
		"--inner=hash":                     "hash 16 8: key 4 value 8 entries 16 flags 0",
		"--inner=lru-hash":                 "lru-hash 16 8: key 4 value 8 entries 16 flags 0",
		"--inner=percpu-array":             "percpu-array 16 8: key 4 value 8 entries 16 flags 0",
		"--inner=ringbuf":                  "ringbuf 4096 0: key 0 value 0 entries 4096 flags 0",
		"--inner=queue":                    "queue 16 8: key 0 value 8 entries 16 flags 0",
		"--inner=arena":                    "arena 16 0: key 0 value 0 entries 16 flags 1024",
		"--inner=task-storage":             "task-storage 0 8: key 4 value 8 entries 0 flags 1",
		"--inner=lpm-trie":                 "lpm-trie 16 8: key 8 value 8 entries 16 flags 1",
		"--inner=xskmap --inner-entries=3": "xskmap 3 4: key 4 value 4 entries 3 flags 0",
		"--inner=hash --inner-key-size=9 --inner-value-size=5": "hash 16 5: key 9 value 5 entries 16 flags 0",
	} {
		c := new(Workload)
		workloadtest.CheckArgs(t, c, args, results.StrategyRCU, "")
		if err := c.Check(results.StrategyRCU); err != nil { // Setup checks again
			t.Errorf("%s: %v", args, err)
		}
		p, spec := workloads.Params(c.fs), c.innerSpec()
		got := fmt.Sprintf("%s %s %s: key %d value %d entries %d flags %d", p["inner"], p["inner-entries"], p["inner-value-size"],
			spec.KeySize, spec.ValueSize, spec.MaxEntries, spec.Flags)
		if got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}

// TestEveryKindHasAShape: the names are the kernel's, each once, and every shape is one
// that Check takes.
func TestEveryKindHasAShape(t *testing.T) {
	for _, name := range inners {
		workloadtest.CheckArgs(t, new(Workload), "--inner="+name, results.StrategyRCU, "")
	}
	if n := len(results.MapTypes()) - 1 + 2; len(inners) != n { // but for unspec; two without preallocation
		t.Errorf("%d kinds, want %d: %v", len(inners), n, inners)
	}
}

// TestChurnAtLeast: what its parameters say of its length.
func TestChurnAtLeast(t *testing.T) {
	for _, tt := range []struct {
		c    Workload
		want time.Duration
	}{
		{Workload{Count: 300}, 0},
		{Workload{Count: 1000, Rate: 1}, 1000 * time.Second},
		{Workload{Duration: 15 * time.Minute}, 15 * time.Minute},
		{Workload{Count: 10, Rate: 1, Duration: 15 * time.Minute}, 10 * time.Second},
		{Workload{Count: 100, Rate: 1000, HoldReader: "rcu=1s"}, 100 * time.Second},
		{Workload{Count: 100, Rate: 1, HoldReader: "rcu=0s,5s"}, 250 * time.Second},
		{Workload{Count: 1 << 60, Rate: 1e-9}, math.MaxInt64},
	} {
		if got := tt.c.AtLeast(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.c, got, tt.want)
		}
	}
}

// TestChurnTarget: what a kernel's release and its CPUs tell is refused before it
// boots.
func TestChurnTarget(t *testing.T) {
	const batch = "--slots=8 --batch=4"
	for _, tt := range []struct {
		args, strategy, release string
		cpus                    int
		want                    string // in the error; empty: none
	}{
		{"", results.StrategyRCU, "5.10.0-46-cloud-amd64", 2, ""},
		{batch, results.StrategyRCU, "5.10.0-46-cloud-amd64", 2, "5.19"},
		{batch, results.StrategyImmediate, "5.10.0-46-cloud-amd64", 2, ""},
		{batch, results.StrategyRCU, "6.1.0-56-cloud-amd64", 2, ""},
		{"--inner-value-size=4194305", results.StrategyRCU, "5.10.0-46-cloud-amd64", 2, "at most 4194304 bytes there"},
		{"--inner-value-size=4194304", results.StrategyRCU, "5.10.0-46-cloud-amd64", 2, ""},
		{"--inner-value-size=4194305", results.StrategyRCU, "6.1.0-56-cloud-amd64", 2, ""},
		{"--inner=task-storage", results.StrategyRCU, "5.10.0-46-cloud-amd64", 2, "5.11, 4cf1bc1f1045"},
		{"--inner=bloom-filter", results.StrategyRCU, "5.10.0-46-cloud-amd64", 2, "--inner bloom-filter: it has no such maps (they came with 5.16, 9330986c0300)"},
		{"--inner=bloom-filter", results.StrategyRCU, "6.1.0-56-cloud-amd64", 2, ""},
		{"--inner=user-ringbuf", results.StrategyRCU, "5.19.0", 2, "6.1"},
		{"--inner=cgrp-storage", results.StrategyRCU, "6.1.0-56-cloud-amd64", 2, "6.2"},
		{"--inner=arena", results.StrategyRCU, "6.1.0-56-cloud-amd64", 2, "6.9"},
		{"--inner=arena", results.StrategyImmediate, "6.1.0-56-cloud-amd64", 2, "6.9"},
		{"--inner=arena", results.StrategyRCU, "6.12.118+deb13-cloud-amd64", 2, ""},
		{"--inner=prog-array", results.StrategyRCU, "6.12.118+deb13-cloud-amd64", 2, ""}, // the kernel's to refuse
		{"--inner=cpumap --inner-entries=2", results.StrategyRCU, "6.1.0-56-cloud-amd64", 2, ""},
		{"--inner=cpumap --inner-entries=3", results.StrategyRCU, "6.1.0-56-cloud-amd64", 2, "one for each CPU, and there are 2"},
		{"--hold-reader=rcu=20ms", results.StrategyRCU, "6.1.0-56-cloud-amd64", 1, "--cpus 2"},
		{"--hold-reader=rcu=20ms", results.StrategyRCU, "6.1.0-56-cloud-amd64", 2, ""},
		{"--hold-reader=rcu=20ms", results.StrategyRCU, "5.10.0-46-cloud-amd64", 2, "5.17"},
		{"--hold-reader=tasks-trace=20ms", results.StrategyRCU, "5.15.0", 0, ""},
		{"--hold-reader=tasks-trace=20ms", results.StrategyRCU, "5.10.0-46-cloud-amd64", 2, "5.14"},
	} {
		c := new(Workload)
		workloadtest.CheckArgs(t, c, tt.args, tt.strategy, "")
		err := c.CheckTarget(tt.strategy, workloads.Target{Release: tt.release, CPUs: tt.cpus})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s %s on %s with %d CPUs: %v, want %q", tt.args, tt.strategy, tt.release, tt.cpus, err, tt.want)
		}
	}
}

// TestChurnMemory: the estimate has the outer map, the maps in its slots, and those
// in limbo.
func TestChurnMemory(t *testing.T) {
	const mib = 1 << 20
	hash := "--inner=hash --inner-entries=32768 " // 32769 elements of 64 bytes, and 512 KiB of buckets: 2.5 MiB
	for _, tt := range []struct {
		args, strategy string
		least, most    uint64 // bytes
	}{
		{"", results.StrategyRCU, 300 * 512, mib},
		{"--slots=65536 --count=1", results.StrategyImmediate, 512, 16 << 10},
		{"--slots=65536 --count=1", results.StrategyRCU, 65536 * (512 + 8), 34 * mib},
		{"--slots=65536 --fill=330 --count=1", results.StrategyRCU, 65536*8 + 330*512, mib},
		{"--outer=hash-of-maps --slots=65536 --fill=1 --count=1", results.StrategyRCU, 5 * mib, 6 * mib},
		{hash + "--count=1", results.StrategyRCU, 10 * mib, 12 * mib},                 // the slot's, the template's, one ready, one in limbo
		{hash + "--count=100", results.StrategyRCU, 258 * mib, 261 * mib},             // all in limbo
		{hash + "--count=1000000", results.StrategyRCU, 2048 * mib, 2100 * mib},       // as many as can be created meanwhile
		{hash + "--count=1000000 --rate=10", results.StrategyRCU, 60 * mib, 62 * mib}, // 10 a second for 2 s, and nothing of an operation
		{"--inner=hash-noprealloc --inner-entries=32768 --count=1", results.StrategyRCU, 4 * (512 << 10), 5 * mib / 2},
		{"--inner=hash-noprealloc --inner-entries=32768 --inner-fill=32768 --count=1", results.StrategyRCU, 4 * (512<<10 + 32768*96), 15 * mib},
		{"--inner=ringbuf --inner-entries=1048576 --count=1", results.StrategyRCU, 4 * mib, 5 * mib},
		{"--slots=1024 --batch=1024 --duration=1m", results.StrategyRCU, 100_000 * 512, 100 * mib}, // of small maps too
		{hash + "--count=1 --slots=4096", results.StrategyRCU, 10250 * mib, 10350 * mib},
	} {
		c := new(Workload)
		workloadtest.CheckArgs(t, c, tt.args, tt.strategy, "")
		if got := c.MemoryBytes(tt.strategy, 2); got < tt.least || got > tt.most {
			t.Errorf("%s %s: %d bytes, want %d to %d", tt.args, tt.strategy, got, tt.least, tt.most)
		}
	}
}

// TestAchievedRate: a loop that keeps up has the rate that was asked for,
// however few its operations are.
func TestAchievedRate(t *testing.T) {
	for _, tt := range []struct {
		ops  uint64
		took time.Duration
		want float64
	}{
		{0, time.Second, 0},
		{1, 3 * time.Millisecond, 200},
		{200, 995 * time.Millisecond, 200},
		{200, time.Second, 200},
		{200, 8 * time.Second, 25},
	} {
		if got := achievedRate(tt.ops, 200, tt.took); got != tt.want {
			t.Errorf("%d operations in %v: %v a second, want %v", tt.ops, tt.took, got, tt.want)
		}
	}
}

// TestSleepUntil: the end of the duration and an interrupt are not waited past.
func TestSleepUntil(t *testing.T) {
	now := time.Now()
	if !sleepUntil(t.Context(), now.Add(-time.Hour), now, 0) || !sleepUntil(t.Context(), now.Add(time.Millisecond), now, time.Hour) {
		t.Error("there is one more")
	}
	if sleepUntil(t.Context(), now.Add(time.Hour), now, 5*time.Millisecond) {
		t.Error("one after the duration")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sleepUntil(ctx, now.Add(time.Hour), now, 0) {
		t.Error("one after an interrupt")
	}
	if took := time.Since(now); took > time.Minute {
		t.Errorf("that took %v", took)
	}
}

func TestDeaths(t *testing.T) {
	for _, c := range []struct {
		count uint64
		batch uint32
		want  uint64
	}{{0, 1, 0}, {300, 1, 300}, {1 << 20, 17, 17 << 20}, {math.MaxUint64, 3, math.MaxUint64}} {
		if got := (&Workload{Count: c.count, Batch: c.batch}).Deaths(); got != c.want {
			t.Errorf("%d in batches of %d: %d, want %d", c.count, c.batch, got, c.want)
		}
	}
}
