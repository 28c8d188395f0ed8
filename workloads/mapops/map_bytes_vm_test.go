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

	"github.com/mapprof/mapprof/internal/vmtest"
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
	}
}

// weight is a map's memory in bytes: as the kernel says in fdinfo, and as MapBytes.
type weight struct {
	Map            string
	Kernel, Mapped uint64
}

func weighMaps(context.Context, *task.Env, task.None) (out []weight, err error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	for _, spec := range weighed() {
		what := fmt.Sprintf("%s of %d × %d bytes", spec.Type, spec.MaxEntries, spec.ValueSize)
		m, err := ebpf.NewMap(spec)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		info, err := m.Info()
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		memlock, ok := info.Memlock()
		if err := m.Close(); err != nil || !ok {
			return nil, fmt.Errorf("%s: the kernel doesn't say what it weighs: %w", what, err)
		}
		out = append(out, weight{what, memlock, MapBytes(spec, cpus)})
	}
	return out, nil
}

// TestVMMapBytes: no map takes more than is said before it is made, nor much less.
// Kernels say what a map takes since 6.4, without what their allocators round up.
func TestVMMapBytes(t *testing.T) {
	for _, series := range []string{"6.12", "7.2"} {
		got := vmtest.Call[[]weight](t, vmtest.VM(t, series), weighTask, task.None{})
		if len(got) != len(weighed()) {
			t.Errorf("%s: %d maps of %d", series, len(got), len(weighed()))
		}
		for _, w := range got {
			t.Logf("%s: %s: kernel %d, computed %d (%+.1f %%)", series, w.Map, w.Kernel, w.Mapped, 100*(float64(w.Mapped)/float64(w.Kernel)-1))
			if w.Mapped < w.Kernel || w.Mapped > w.Kernel+w.Kernel/6+2048 {
				t.Errorf("%s: %s takes %d bytes, computed %d", series, w.Map, w.Kernel, w.Mapped)
			}
		}
	}
}
