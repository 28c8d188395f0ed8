// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/internal/mapmemory"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := binary.Write(&b, binary.NativeEndian, v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecode(t *testing.T) {
	death := probes.DeathEvent{Kind: probes.KindDeath, MapId: 7, PutNs: 1, FreedNs: 2, StackId: -17}
	wait := probes.WaitEvent{Kind: probes.KindWait, StartNs: 3, EndNs: 5}
	gp := probes.GPEvent{Kind: probes.KindGP, GpKind: probes.StageKindRCU, StartNs: 1, EndNs: 2}
	var e event
	owned := probes.OwnedDeath{Death: death, Owner: probes.Owner{OuterId: 3, CreatorTgid: 4}}
	for _, want := range []any{&owned, &probes.OwnedDeath{Death: death}, &wait, &gp} {
		err := e.decode(encode(t, want))
		got := map[uint32]any{probes.KindDeath: &e.death, probes.KindWait: &e.wait, probes.KindGP: &e.gp}[e.kind]
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %+v %v", want, got, err)
		}
	}
	for name, raw := range map[string][]byte{
		"empty": {}, "three bytes": {1, 0, 0}, "unknown kind": encode(t, uint32(99)),
		"short death":            encode(t, death)[:100],
		"long death":             append(encode(t, death), 0),
		"short owner":            encode(t, owned)[:200],
		"long owner":             append(encode(t, owned), 0),
		"a wait's size, a death": append(encode(t, probes.KindDeath), encode(t, wait)[4:]...),
	} {
		var bad *DecodeError
		if err := e.decode(raw); e.kind != 0 || !errors.As(err, &bad) {
			t.Errorf("%s: kind %d, %v", name, e.kind, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, probes.DeathEvent{Kind: probes.KindDeath}))
	f.Add(encode(f, probes.WaitEvent{Kind: probes.KindWait}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e event
		err := e.decode(raw)
		if (err == nil) == (e.kind == 0) {
			t.Fatal("an event with an error, or neither")
		}
		if e.kind == probes.KindDeath {
			var death results.Death
			if newDecoder(footprint{kernel: testKernel}, noStack).death(&death, &e.death) {
				var sum int64
				phases := death.PhaseNS()
				for _, p := range results.DeathPhases() {
					if phases[p] < 0 {
						t.Fatalf("%s is negative: %+v", p, death)
					}
					sum += phases[p]
				}
				if sum != phases[results.PhaseLimbo] {
					t.Fatalf("%v add up to %d: %+v", phases, sum, death)
				}
			}
		}
	})
}

func noStack(int32) string { return "" }

// The types that records are copied into are as long as the kernel's.
func TestEventsHaveNoPadding(t *testing.T) {
	if d, w, g := unsafe.Sizeof(probes.DeathEvent{}), unsafe.Sizeof(probes.WaitEvent{}), unsafe.Sizeof(probes.GPEvent{}); d != 168 || w != 32 || g != 24 {
		t.Errorf("%d, %d and %d bytes", d, w, g)
	}
}

func TestRecordBytes(t *testing.T) {
	for n, want := range map[int]int{0: 8, 1: 16, 8: 16, 24: 32, 32: 40, 168: 176} {
		if got := recordBytes(n); got != want {
			t.Errorf("%d bytes take %d, want %d", n, got, want)
		}
	}
}

// Names are kept once each, and not without end.
func TestDecoderNames(t *testing.T) {
	dec := newDecoder(footprint{kernel: testKernel}, noStack)
	for i := range 3 * maxNames {
		e := probes.DeathEvent{Kind: probes.KindDeath, PutNs: 1, FreeNs: 2, FreedNs: 3, StageKind: [2]uint32{uint32(i), 7}}
		copy(e.MapName[:], []int8{'m', int8(i), int8(i >> 7)})
		var d results.Death
		dec.pending(&d, &probes.OwnedDeath{Death: e})
		if want := strings.TrimRight(string([]byte{'m', byte(i) & 0xff, byte(i>>7) & 0xff}), "\x00"); i&0xff != 0 && d.MapName != want {
			t.Fatalf("%q, want %q", d.MapName, want)
		}
	}
	if len(dec.names) > maxNames || len(dec.paths) > maxNames {
		t.Errorf("%d names, %d paths", len(dec.names), len(dec.paths))
	}
}

func TestDeathFollowsItsStages(t *testing.T) {
	const tt, rcu = probes.StageKindTasksTrace, probes.StageKindRCU
	for _, c := range []struct {
		name  string
		event probes.DeathEvent
		path  string
		ok    bool
		loss  string
		gone  []string // phases that must be absent
	}{
		{"immediate", probes.DeathEvent{PutNs: 1, FreeNs: 2, FreedNs: 3}, "immediate", true, "none", []string{"enqueue", "rcu_gp", "tasks_trace_gp"}},
		{"rcu", probes.DeathEvent{PutNs: 1, StageKind: [2]uint32{rcu}, EnqueueNs: [2]uint64{2}, EndNs: [2]uint64{5}, FreeNs: 6, FreedNs: 7}, "rcu", true, "none", []string{"tasks_trace_gp"}},
		{"both", probes.DeathEvent{PutNs: 1, StageKind: [2]uint32{tt, rcu}, EnqueueNs: [2]uint64{2, 6}, EndNs: [2]uint64{5, 8}, FreeNs: 9, FreedNs: 10}, "tasks-trace+rcu", true, "none", nil},
		{"sync", probes.DeathEvent{PutNs: 1, StageKind: [2]uint32{rcu}, EnqueueNs: [2]uint64{2}, EndNs: [2]uint64{5}, FreeNs: 6, FreedNs: 17, FreeWaitNs: 9, FreeWaits: probes.FreeWaitRCU}, "rcu+sync", true, "none", nil},
		{"sync-tasks", probes.DeathEvent{PutNs: 1, FreeNs: 6, FreedNs: 17, FreeWaitNs: 9, FreeWaits: probes.FreeWaitRCU | probes.FreeWaitTasks}, "sync+sync-tasks", true, "none", nil},
		{"callback unseen", probes.DeathEvent{PutNs: 1, StageKind: [2]uint32{rcu}, EnqueueNs: [2]uint64{2}, FreeNs: 6, FreedNs: 7}, "rcu", true, "callback_unseen 1", []string{"queue"}},
		{"time went back", probes.DeathEvent{PutNs: 5, FreeNs: 2, FreedNs: 3}, "immediate", false, "none", nil},
		{"waits in an order that no kernel has", probes.DeathEvent{PutNs: 1, StageKind: [2]uint32{rcu, tt}, EnqueueNs: [2]uint64{2, 6}, EndNs: [2]uint64{5, 8}, FreeNs: 9, FreedNs: 10}, "rcu+tasks-trace", false, "none", nil},
		{"a callback before its call", probes.DeathEvent{PutNs: 1, StageKind: [2]uint32{rcu}, EnqueueNs: [2]uint64{9}, EndNs: [2]uint64{5}, FreeNs: 10, FreedNs: 11}, "rcu", false, "none", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d results.Death
			dec := newDecoder(footprint{kernel: testKernel}, noStack)
			ok := dec.death(&d, &probes.OwnedDeath{Death: c.event})
			loss := results.LossText(map[string]uint64{"callback_unseen": dec.callbacksUnseen})
			if d.Path != c.path || ok != c.ok || loss != c.loss || (dec.timeWentBack == 1) == ok || (dec.counts[c.path] == 1) != ok {
				t.Errorf("path %q, ok %v, loss %s, %d went back, %v", d.Path, ok, loss, dec.timeWentBack, dec.counts)
			}
			phases := d.PhaseNS()
			for _, p := range c.gone {
				if _, there := phases[p]; there {
					t.Errorf("phase %s exists: %v", p, phases)
				}
			}
		})
	}
}

func TestTrimTracer(t *testing.T) {
	stack := []results.Frame{{Function: "bpf_prog_1_fe_put", Module: "bpf"}, {Function: "bpf_trampoline_1", Module: "bpf"}, {Function: "bpf_map_put"}, {Function: "bpf_prog_2_users", Module: "bpf"}}
	if got := trimTracer(stack); len(got) != 2 || got[0].Function != "bpf_map_put" {
		t.Errorf("got %+v", got)
	}
}

// testKernel has two CPUs and structs of round sizes.
var testKernel = mapmemory.Kernel{CPUs: 2, PageSize: 4096, Locks: 8, Struct: func(name string) uint64 {
	return map[string]uint64{"bpf_array": 320, "bpf_htab": 640, "bucket": 16, "htab_elem": 48, "bpf_dtab": 384, "hlist_head": 8,
		"bpf_struct_ops_map": 576, "bpf_struct_ops_value": 64}[name]
}}

func TestFootprintFollowsTheKernelsFormulas(t *testing.T) {
	f := footprint{kernel: testKernel}
	f.kernel.CPUs = 4
	for _, c := range []struct {
		name string
		e    probes.DeathEvent
		want uint64
	}{
		{"array", probes.DeathEvent{MapType: results.MapTypeArray, KeySize: 4, ValueSize: 5, MaxEntries: 10}, 320 + 80},
		{"mmapable array", probes.DeathEvent{MapType: results.MapTypeArray, MapFlags: mapmemory.FlagMmapable, ValueSize: 8, MaxEntries: 513}, 4096 + 8192},
		{"percpu array", probes.DeathEvent{MapType: results.MapTypePerCPUArray, ValueSize: 8, MaxEntries: 10}, 320 + 80 + 320},
		{"hash", probes.DeathEvent{MapType: results.MapTypeHash, KeySize: 4, ValueSize: 8, MaxEntries: 10, ExtraElems: 1}, 640 + 16*16 + 4*4*8 + 64*14 + 8*4},
		{"hash of maps, 7.2", probes.DeathEvent{MapType: results.MapTypeHashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 10}, 640 + 16*16 + 4*4*8 + 64*10 + 8*4},
		{"hash without preallocation", probes.DeathEvent{MapType: results.MapTypeHash, MapFlags: mapmemory.FlagNoPrealloc, KeySize: 4, ValueSize: 8, MaxEntries: 10}, 640 + 16*16 + 4*4*8},
		{"hash without preallocation, 3 elements", probes.DeathEvent{MapType: results.MapTypeHash, MapFlags: mapmemory.FlagNoPrealloc, KeySize: 4, ValueSize: 8, MaxEntries: 10, Elements: 3}, 640 + 16*16 + 4*4*8 + 3*(64+8)},
		{"percpu hash without preallocation, 3 elements", probes.DeathEvent{MapType: results.MapTypePerCPUHash, MapFlags: mapmemory.FlagNoPrealloc, KeySize: 4, ValueSize: 8, MaxEntries: 10, Elements: 3}, 640 + 16*16 + 4*4*8 + 3*(64+8+16+4*8)},
		{"pages charged for elements that aren't there", probes.DeathEvent{MapType: results.MapTypeHash, MapFlags: mapmemory.FlagNoPrealloc, KeySize: 4, ValueSize: 8, MaxEntries: 1, Elements: 1, MemoryPages: 1 << 20}, 640 + 16 + 4*4*8 + 64 + 8},
		{"lru", probes.DeathEvent{MapType: results.MapTypeLRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 10}, 640 + 16*16 + 4*4*8 + 64*10},
		{"devmap", probes.DeathEvent{MapType: results.MapTypeDevmap, MaxEntries: 10}, 384 + 80},
		{"struct_ops", probes.DeathEvent{MapType: results.MapTypeStructOps, KeySize: 4, ValueSize: 256, MaxEntries: 1}, 576 + 256 - 64 + 256 + 4096},
		{"charged pages win", probes.DeathEvent{MapType: results.MapTypeArray, MemoryPages: 3}, 3 * 4096},
		{"unknown type", probes.DeathEvent{MapType: 99, MaxEntries: 1 << 31}, 0},
	} {
		if got := f.bytes(&c.e); got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
}

// A run directory takes the kernel's histograms and gives them back.
func TestLookupHistogramIsKept(t *testing.T) {
	buckets := make([]int64, len(hdrhistogram.New(probes.LookupMinNS, probes.LookupMaxNS, probes.LookupDigits).Export().Counts))
	buckets[100] = 7
	h, err := LookupHistogram(probes.LookupCounts{Buckets: buckets, Count: 7, SumNS: 700, MinNS: 100, MaxNS: 100})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Histogram(results.Tag("s", 0, "hit"), h, time.Unix(1, 0), time.Unix(2, 0)); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(&results.Run{Targets: []results.Target{{}}}); err != nil {
		t.Fatal(err)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if err := d.EachHistogram(func(h *hdrhistogram.Histogram) error { n += h.TotalCount(); return nil }); err != nil || n != 7 {
		t.Errorf("%d values, %v", n, err)
	}
}

// TestSnapshot loses a death each time that those under way are read, for a
// while: none may be both lost and under way.
func TestSnapshot(t *testing.T) {
	for _, tt := range []struct{ losses, tries int }{{0, 1}, {1, 2}, {5, 6}, {snapshotTries + 5, snapshotTries}} {
		lost, tries := uint64(0), 0
		counters := func() (probes.Counters, error) {
			return probes.Counters{Puts: 100, LostDeaths: map[string]uint64{"stale": 3, "ringbuf_full": lost}}, nil
		}
		inFlight := func() ([]probes.Pending, error) {
			under := make([]probes.Pending, 97-lost)
			if tries++; lost < uint64(tt.losses) {
				lost++
			}
			return under, nil
		}
		c, pending, err := snapshot(counters, inFlight)
		if err != nil || tries != tt.tries {
			t.Errorf("%d losses: %d tries, want %d, %v", tt.losses, tries, tt.tries, err)
		}
		if in := uint64(len(pending)); tt.losses < snapshotTries && c.Puts != in+sum(c.LostDeaths) {
			t.Errorf("%d losses: %d under way, %d lost of %d", tt.losses, in, sum(c.LostDeaths), c.Puts)
		}
	}
	broken := errors.New("broken")
	none := func() ([]probes.Pending, error) { return nil, nil }
	if _, _, err := snapshot(func() (probes.Counters, error) { return probes.Counters{}, broken }, none); !errors.Is(err, broken) {
		t.Errorf("counters: %v", err)
	}
	if _, _, err := snapshot(func() (probes.Counters, error) { return probes.Counters{}, nil }, func() ([]probes.Pending, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("in flight: %v", err)
	}
}
