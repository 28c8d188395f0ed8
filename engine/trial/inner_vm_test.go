// SPDX-License-Identifier: Apache-2.0

//go:build vm

package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

const innerTask = "inner-maps"

// innerJob is a trial of churn with inner maps of a kind.
type innerJob struct{ Kind, Flags string }

// innerReply is how its deaths were, and what the kernel says of a map alike.
type innerReply struct {
	Refused string   // the error of the workload's set-up
	Deaths  int      // of its inner maps
	Bytes   []uint64 // that these held, each other value once
	Memlock uint64   // as fdinfo has it
	Struct  uint64   // the map's own, where memlock leaves it out
	Waits   bool     // every map_free waited
}

// innerReplies are those to all jobs, and how it balanced.
type innerReplies struct {
	Jobs                        []innerReply
	Puts, Freed, Lost, InFlight uint64
	Loss                        map[string]uint64
}

// innerJobs are all kinds of maps, some filled, some with other sizes.
func innerJobs() []innerJob {
	jobs := []innerJob{
		{"hash", "inner-key-size=20 inner-value-size=24 inner-entries=5"},
		{"hash-noprealloc", "inner-fill=16"},
		{"hash-noprealloc", "inner-entries=1000 inner-fill=777"}, // counted on each CPU, since 6.1
		{"percpu-hash-noprealloc", "inner-fill=9 inner-key-size=2"},
		{"lpm-trie", "inner-fill=11 inner-key-size=20"},
		{"lru-hash", "inner-fill=4"},
		{"lru-percpu-hash", "inner-fill=4"},
		{"queue", "inner-fill=16 inner-value-size=12"},
		{"bloom-filter", "inner-fill=16 inner-entries=5000"},
		{"stack-trace", "inner-value-size=1016 inner-entries=20"},
		{"ringbuf", "inner-entries=65536"},
		{"sockmap", "inner-value-size=8"},
		{"sockhash", "inner-key-size=6 inner-entries=9"},
		{"sk-storage", "inner-value-size=100"},
		{"hash", "readers=1 inner-key-size=38"}, // the reader's key is as long
		{"lpm-trie", "readers=1 inner-fill=2"},
		{"percpu-hash", "readers=1"},
		{"ringbuf", "readers=1"},
	}
	for _, k := range mapops.Kinds() {
		jobs = append(jobs, innerJob{Kind: k.Name})
	}
	return jobs
}

const innerOps = 3

// churnInner runs churn for every job while all inner maps are watched.
func churnInner(ctx context.Context, _ *task.Env, jobs []innerJob) (out innerReplies, err error) {
	p, _, err := probes.Attach(probes.Config{WatchPrefix: "mp_inner"})
	if err != nil {
		return out, err
	}
	var kept keptDeaths
	c, err := collect.Start(p, &kept, nil)
	if err != nil {
		return out, err
	}
	if err := p.Start(); err != nil {
		return out, err
	}
	names := map[string]int{} // the job of an instance's maps
	for n, j := range jobs {
		r, name, err := churnKind(ctx, j)
		if err != nil {
			return out, fmt.Errorf("%s %s: %w", j.Kind, j.Flags, err)
		}
		out.Jobs, names[name] = append(out.Jobs, r), n
	}
	if err := c.Drain(ctx, time.Minute); err != nil {
		return out, err
	}
	o, err := c.Finish()
	if err != nil {
		return out, err
	}
	out.Puts, out.Freed, out.Lost, out.InFlight, out.Loss = o.Puts, o.Freed, o.Lost, o.InFlight, o.Loss
	for _, d := range kept {
		n, ok := names[d.MapName]
		if !ok {
			continue // of an instance that was refused
		}
		r := &out.Jobs[n]
		r.Waits = (r.Waits || r.Deaths == 0) && d.FreeWaitNS > 0
		r.Deaths++
		if !slices.Contains(r.Bytes, d.MemBytes) {
			r.Bytes = append(r.Bytes, d.MemBytes)
		}
	}
	return out, nil
}

// keptDeaths keeps all that there are.
type keptDeaths []results.Death

func (k *keptDeaths) Death(d *results.Death) error { *k = append(*k, *d); return nil }

func (*keptDeaths) Wait(collect.Wait) error { return nil }

func (*keptDeaths) Sweep(*collect.Outcome) error { return nil }

// churnKind does one job; its maps have that name.
func churnKind(ctx context.Context, j innerJob) (r innerReply, name string, err error) {
	params := map[string]string{"count": fmt.Sprint(innerOps), "inner": j.Kind}
	for _, f := range strings.Fields(j.Flags) {
		flag, value, _ := strings.Cut(f, "=")
		params[flag] = value
	}
	w, _, err := workloads.New("churn", params)
	if err != nil {
		return r, "", err
	}
	if err := w.Check(results.StrategyRCU); err != nil {
		return r, "", err
	}
	instance, err := w.Setup(ctx, results.StrategyRCU)
	if err != nil {
		return innerReply{Refused: err.Error()}, "", nil
	}
	res, err := instance.Run(ctx, func(uint64, uint64) {})
	if err == nil && res.LastPuts != innerOps {
		err = fmt.Errorf("%d last puts in %d operations", res.LastPuts, res.Ops)
	}
	name = instance.WatchPrefix()
	if err := errors.Join(err, instance.Close()); err != nil {
		return r, "", err
	}
	r.Memlock, r.Struct, err = weighKind(params)
	return r, name, err
}

// weighKind makes a map of the kind and asks the kernel for its memory.
func weighKind(params map[string]string) (memlock, structure uint64, err error) {
	kind, _ := mapops.FindKind(params["inner"])
	number := func(flag string, n uint32) uint32 {
		if text, ok := params["inner-"+flag]; ok {
			_, err = fmt.Sscan(text, &n)
		}
		return n
	}
	key := number("key-size", kind.Key)
	value, entries, fill := number("value-size", kind.Value), number("entries", kind.Entries), number("fill", 0)
	m, err := ebpf.NewMap(kind.Spec("weighed", key, value, entries))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	var v any = make([]byte, value)
	if kind.Type == ebpf.PerCPUHash || kind.Type == ebpf.LRUCPUHash {
		v = [][]byte{make([]byte, value)}
	}
	for n := range fill {
		var k any
		if bytes := kind.NthKey(n, int(key)); bytes != nil {
			k = bytes
		}
		if err := m.Put(k, v); err != nil {
			return 0, 0, err
		}
	}
	info, err := m.Info()
	if err != nil {
		return 0, 0, err
	}
	memlock, _ = info.Memlock()
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return 0, 0, err
	}
	if name := map[ebpf.MapType]string{ebpf.LPMTrie: "lpm_trie", ebpf.Arena: "bpf_arena"}[kind.Type]; name != "" {
		var s *btf.Struct
		if err := types.TypeByName(name, &s); err != nil {
			return 0, 0, err
		}
		structure = uint64(s.Size)
	}
	return memlock, structure, err
}

// neverInner is what kernels make and take from nobody as an inner map, or don't make
// at all, and what they say.
var neverInner = map[string]string{
	"prog-array":            "inner maps prog-array with key 4, value 4, 16 entries: ENOTSUPP, errno 524 (this kernel makes such maps, and refuses them as inner maps)",
	"cgroup-storage":        "ENOTSUPP, errno 524",
	"percpu-cgroup-storage": "ENOTSUPP, errno 524",
	"insn-array":            "ENOTSUPP, errno 524",
	"array-of-maps":         "inner maps array-of-maps with key 4, value 4, 16 entries: EINVAL, invalid argument (this kernel makes such maps, and refuses them as inner maps)",
	"hash-of-maps":          "EINVAL, invalid argument",
	"struct-ops":            "create inner map, inner maps struct-ops with key 4, value 8, 1 entries: E", // some errno
}

// TestVMInnerMapsOnEveryKernel: a kernel makes every kind of inner map that it has; each one's
// deaths balance, and hold what the kernel says such a map holds; what it refuses
// it refuses with its errno.
func TestVMInnerMapsOnEveryKernel(t *testing.T) {
	jobs := innerJobs()
	for _, series := range vmtest.Kernels() {
		t.Run(series, func(t *testing.T) {
			t.Parallel()
			kernel := vmtest.Kernel(t, series)
			got := vmtest.Call[innerReplies](t, vmtest.VM(t, series), innerTask, jobs)
			if got.Puts != got.Freed || got.Puts < uint64(innerOps*len(jobs))/2 || got.Lost+got.InFlight != 0 {
				t.Errorf("doesn't balance: %d puts, %d freed, %d in flight, lost %v", got.Puts, got.Freed, got.InFlight, got.Loss)
			}
			if len(got.Jobs) != len(jobs) {
				t.Fatalf("%d replies to %d jobs", len(got.Jobs), len(jobs))
			}
			for i, r := range got.Jobs {
				checkInner(t, workloads.Target{Release: kernel.Release}, jobs[i], r)
			}
		})
	}
}

func checkInner(t *testing.T, on workloads.Target, j innerJob, r innerReply) {
	t.Helper()
	what := j.Kind + " " + j.Flags
	kind, _ := mapops.FindKind(j.Kind)
	t.Logf("%s: %+v", what, r)
	if kind.CheckOn(on, "inner") != nil {
		if !strings.Contains(r.Refused, "EINVAL") {
			t.Errorf("%s: the kernel has none, and says %q", what, r.Refused)
		}
		return
	}
	if why, never := neverInner[j.Kind]; never {
		if !strings.Contains(r.Refused, why) || strings.Contains(r.Refused, "\n") {
			t.Errorf("%s: %q, want %q", what, r.Refused, why)
		}
		return
	}
	if r.Refused != "" {
		t.Errorf("%s: %s", what, r.Refused)
		return
	}
	// One was in the slot at the end; the outer map's template died empty.
	const template = 1
	if r.Deaths != innerOps+1+template {
		t.Errorf("%s: %d deaths in %d operations", what, r.Deaths, innerOps)
	}
	held := r.Bytes
	if strings.Contains(j.Flags, "inner-fill") && len(held) == 2 {
		held = []uint64{max(held[0], held[1])}
	}
	if len(held) != 1 || held[0] == 0 {
		t.Errorf("%s: deaths held %d bytes", what, r.Bytes)
		return
	}
	if kind.MapFreeWaits && !r.Waits {
		t.Errorf("%s: its map_free did not wait", what)
	}
	single := kind.Flags&unix.BPF_F_NO_PREALLOC != 0 && kind.Fills
	switch {
	case on.Before(5, 11) && single, !on.Before(5, 11) && on.Before(6, 4):
		// The kernel says what it charged for all elements, or what keys and
		// values come to.
	case held[0] != r.Memlock+r.Struct:
		t.Errorf("%s: deaths held %d bytes, the kernel says %d + %d", what, held[0], r.Memlock, r.Struct)
	}
}
