// SPDX-License-Identifier: Apache-2.0

//go:build vm

package mapops

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

const weighTask = "weigh-maps"

// weighed is a map of every kind that MapBytes knows apart, some small and some large.
func weighed() []*ebpf.MapSpec {
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	return []*ebpf.MapSpec{
		{Type: ebpf.Array, KeySize: 4, ValueSize: 5, MaxEntries: 1},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 5, MaxEntries: 100_000},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 100_000, Flags: unix.BPF_F_MMAPABLE},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 2000, MaxEntries: 500},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16},
		{Type: ebpf.Hash, KeySize: 7, ValueSize: 100, MaxEntries: 70_000},
		{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 32_768},
		{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 256, MaxEntries: 5000},
		{Type: ebpf.LRUCPUHash, KeySize: 4, ValueSize: 256, MaxEntries: 5000},
		{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 65_536, InnerMap: inner},
		{Type: ebpf.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 65_536, InnerMap: inner},
		{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 10_000},
		{Type: ebpf.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 10_000},
		{Type: ebpf.RingBuf, MaxEntries: 1 << 20},
		{Type: ebpf.Queue, ValueSize: 16, MaxEntries: 10_000},
		{Type: ebpf.StackTrace, KeySize: 4, ValueSize: 1016, MaxEntries: 3000},
		{Type: ebpf.BloomFilter, ValueSize: 8, MaxEntries: 100_000},
		{Type: ebpf.SockHash, KeySize: 4, ValueSize: 4, MaxEntries: 10_000},
	}
}

// weighedKinds are maps of the shape that each kind has by default.
func weighedKinds() (specs []*ebpf.MapSpec) {
	for _, k := range kinds {
		specs = append(specs, k.Spec("", k.Key, k.Value, k.Entries))
	}
	return specs
}

// weight is a map's memory in bytes: as the kernel says in fdinfo, and as MapBytes.
type weight struct {
	Map            string
	Kernel, Mapped uint64
	// AtLeast says that the kernel does not say all: no free elements in store, no
	// page tables.
	AtLeast bool
}

func weighMaps(context.Context, *task.Env, task.None) (out []weight, err error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	for n, spec := range append(weighed(), weighedKinds()...) {
		what := fmt.Sprintf("%s of %d × %d bytes", spec.Type, spec.MaxEntries, spec.ValueSize)
		m, err := ebpf.NewMap(spec)
		if errors.Is(err, unix.EINVAL) && (spec.Type == ebpf.StructOpsMap || spec.Type > ebpf.Arena) {
			continue // the first is no map by itself, the others came after 6.12
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		info, err := m.Info()
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		memlock, ok := info.Memlock()
		if err := m.Close(); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		if counted := spec.Type != ebpf.LPMTrie && spec.Type != ebpf.Arena; !ok && counted {
			return nil, fmt.Errorf("%s: the kernel doesn't say what it weighs", what)
		}
		out = append(out, weight{what, memlock, MapBytes(spec, cpus), n >= len(weighed())})
	}
	arena, err := weighArenas(cpus)
	return append(out, arena...), err
}

// weighArenas takes what the machine has left before and after many are made, since the
// kernel doesn't say what an arena weighs: nothing where it has none. Whatever else takes
// or gives memory back is in it, more so while the host is busy: the median of rounds is not.
func weighArenas(cpus int) ([]weight, error) {
	kind, _ := FindKind("arena")
	spec := kind.Spec("", kind.Key, kind.Value, kind.Entries)
	spec.MaxEntries = 1 << 20 // 4 GiB, of which no page is touched
	const rounds, arenas = 5, 16
	var taken []int64
	for range rounds {
		before, err := memAvailable()
		if err != nil {
			return nil, err
		}
		for range arenas {
			m, err := ebpf.NewMap(spec)
			if err != nil {
				return nil, err
			}
			defer m.Close() // at the end: else a round has the frees of the one before
		}
		after, err := memAvailable()
		if err != nil {
			return nil, err
		}
		taken = append(taken, (int64(before)-int64(after))/arenas)
	}
	return []weight{{"an arena, by what is left", uint64(max(0, median.Of(taken))), MapBytesHolding(spec, 0, cpus), true}}, nil
}

func roomForArenas(m *target.Machine) { m.MemoryBytes = 2 << 30 }

// TestVMMapBytes: no map takes more than is said before it is made, nor much less.
// Kernels say what a map takes since 6.4, without what their allocators round up.
func TestVMMapBytes(t *testing.T) {
	for _, series := range []string{"6.12", "7.2"} {
		got := vmtest.Call[[]weight](t, vmtest.VM(t, series, roomForArenas), weighTask, task.None{})
		if all := len(weighed()) + len(weighedKinds()) + 1; len(got) > all || len(got) < all-2 {
			t.Errorf("%s: %d maps of %d", series, len(got), all)
		}
		for _, w := range got {
			t.Logf("%s: %s: kernel %d, computed %d (%+.1f %%)", series, w.Map, w.Kernel, w.Mapped, 100*(float64(w.Mapped)/float64(w.Kernel)-1))
			if w.Mapped < w.Kernel || !w.AtLeast && w.Mapped > w.Kernel+w.Kernel/6+2048 {
				t.Errorf("%s: %s takes %d bytes, computed %d", series, w.Map, w.Kernel, w.Mapped)
			}
		}
	}
}
