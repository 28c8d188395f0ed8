// SPDX-License-Identifier: Apache-2.0

//go:build vm

package collect_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/target/task"
)

const footprintTask = "footprints"

// footprintSpecs are maps of every type that has a formula.
func footprintSpecs() []*ebpf.MapSpec {
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2}
	specs := []*ebpf.MapSpec{
		{Type: ebpf.Array, KeySize: 4, ValueSize: 5, MaxEntries: 1000},
		{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1000, Flags: unix.BPF_F_MMAPABLE},
		{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 12, MaxEntries: 100},
		{Type: ebpf.Hash, KeySize: 7, ValueSize: 9, MaxEntries: 1000},
		{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1000, Flags: unix.BPF_F_NO_PREALLOC},
		{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 100},
		{Type: ebpf.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 1001},
		{Type: ebpf.LRUCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 101},
		{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 33, InnerMap: inner},
		{Type: ebpf.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 33, InnerMap: inner},
		{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 77},
		{Type: ebpf.DevMapHash, KeySize: 4, ValueSize: 4, MaxEntries: 77},
	}
	for i, s := range specs {
		s.Name = fmt.Sprintf("mp_foot%d", i)
	}
	return specs
}

type footprintResult struct {
	Type, Name     string
	Kernel, Mapped uint64 // bytes, as fdinfo and as we say
}

// footprints asks the kernel for each map's memory, drops it, and collects
// what the tracer makes of it.
func footprints(context.Context, *task.Env, task.None) ([]footprintResult, error) {
	p, _, err := probes.Attach(probes.Config{WatchPrefix: "mp_foot"})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	var k collect.Kept
	c, err := collect.Start(p, &k, nil)
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	memlock := regexp.MustCompile(`memlock:\s*(\d+)`)
	asked := map[string]uint64{}
	for _, spec := range footprintSpecs() {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", spec.Type, err)
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", m.FD()))
		if err != nil {
			return nil, err
		}
		match := memlock.FindSubmatch(info)
		if match == nil {
			return nil, fmt.Errorf("no memlock in %q", info)
		}
		asked[spec.Name], _ = strconv.ParseUint(string(match[1]), 10, 64)
		if err := m.Close(); err != nil {
			return nil, err
		}
	}
	if err := c.Drain(context.Background(), 20*time.Second); err != nil {
		return nil, err
	}
	if _, err := c.Finish(); err != nil {
		return nil, err
	}
	var out []footprintResult
	for _, d := range k.Deaths {
		out = append(out, footprintResult{Type: d.MapType, Name: d.MapName, Kernel: asked[d.MapName], Mapped: d.MemBytes})
	}
	return out, nil
}

// TestVMFootprint holds our formulas of a map's memory against map_mem_usage,
// which kernels since 6.4 show in fdinfo.
func TestVMFootprint(t *testing.T) {
	for _, series := range []string{"6.12", "7.2"} {
		got := vmtest.Call[[]footprintResult](t, vmtest.VM(t, series), footprintTask, task.None{})
		if len(got) != len(footprintSpecs()) {
			t.Errorf("%s: %d deaths of %d maps", series, len(got), len(footprintSpecs()))
		}
		for _, r := range got {
			t.Logf("%s %s %s: kernel %d, computed %d", series, r.Name, r.Type, r.Kernel, r.Mapped)
			if r.Kernel != r.Mapped {
				t.Errorf("%s: %s (%s) holds %d bytes, computed %d", series, r.Type, r.Name, r.Kernel, r.Mapped)
			}
		}
	}
}
