// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// pageFunctions prepare an allocated page: with __GFP_ZERO, which a map's pages
// have, that is to clear it and little else. Which of them is not inlined
// depends on the kernel and its compiler; where all are, what clears a page is
// a function in assembly, by what the CPU is good at.
var pageFunctions = []workloads.PageFunction{
	{Name: "kernel_init_pages"}, {Name: "kernel_init_free_pages"}, // up to 6.0
	{Name: "clear_highpages_kasan_tagged"}, // from 7.0
	{Name: "prep_new_page", ByOrder: true},
	// amd64's, and arm64's by both names of its address.
	{Name: "clear_page_erms", Sampled: true}, {Name: "clear_page_rep", Sampled: true}, {Name: "clear_page_orig", Sampled: true},
	{Name: "clear_page", Sampled: true}, {Name: "__pi_clear_page", Sampled: true},
}

// createTraced makes the array, with the calls within.
func (i *instance) createTraced() error {
	var create workloads.Call
	calls, err := i.traced(map[string][]string{
		"create.array_map_alloc": {"array_map_alloc"},
		"create.area_alloc":      {"bpf_map_area_mmapable_alloc", "__bpf_map_area_alloc"},
	}, func() (err error) { create, err = i.createInParts(); return err })
	if err != nil {
		return err
	}
	i.keepCall("create.area_alloc", calls, i.keepCall("create.array_map_alloc", calls, create))
	return nil
}

// createInParts makes the array, and tells zeroing from the rest of that.
func (i *instance) createInParts() (create workloads.Call, err error) {
	const how = "bpf(2), BPF_MAP_CREATE"
	if i.tracer == nil {
		return i.createHeld(how+"; without probes it can't be split into allocation and zeroing", func(f func() error) error { return f() })
	}
	zeroing, err := i.tracer.PageTime(pageFunctions, i.tryArray, func(watch workloads.Watch) (pages uint64, err error) {
		create, err = i.createHeld(how, watch)
		return pagesOf(uint64(i.cfg.entries()) * i.cfg.stride()), err
	})
	if err != nil {
		return create, err
	}
	if zeroing.Why != "" {
		i.result.Warnings = append(i.result.Warnings, "create can't be split into allocation and zeroing on this kernel: "+zeroing.Why)
		return create, nil
	}
	took := float64(create.EndNS - create.BeginNS)
	if zeroing.Share > 0 {
		zeroing.NS = took * zeroing.Share
	}
	i.one("create.zeroing", "ns", zeroing.How+"; on a VM the host gives a page its memory meanwhile", zeroing.NS)
	i.one("create.allocation", "ns", "create less create.zeroing: finding the pages and mapping them, and what watching that costs", took-zeroing.NS)
	return create, nil
}

// createHeld makes the array, and keeps how long that took and the memory
// around it.
func (i *instance) createHeld(how string, watch workloads.Watch) (create workloads.Call, err error) {
	if err := waitForFrees(); err != nil {
		return create, err
	}
	if err := i.memory("memory.before"); err != nil {
		return create, err
	}
	create.TID = mapops.ProbesTID()
	if err := watch(func() error {
		create.BeginNS = ktime.Now()
		err := i.create()
		create.EndNS = ktime.Now()
		return err
	}); err != nil {
		return create, err
	}
	i.one("create", "ns", how, float64(create.EndNS-create.BeginNS))
	return create, i.memory("memory.held")
}

// waitForFrees waits until earlier frees have ended: until the vmalloc memory in use stays
// the same for a tenth of a second, two seconds at most.
func waitForFrees() error {
	const step, same, most = 10 * time.Millisecond, 10, 200
	last, since := uint64(0), 0
	for n := 0; n < most && since < same; n++ {
		used, err := mapops.VmallocUsed()
		if err != nil {
			return err
		}
		if since++; used != last {
			last, since = used, 0
		}
		time.Sleep(step)
	}
	return nil
}

// tryArray makes and frees a small array of the same kind.
func (i *instance) tryArray() (pages uint64, err error) {
	spec := i.spec()
	spec.Name, spec.ValueSize, spec.MaxEntries = "mp_try", 8, 1<<17
	m, err := mapops.NewMap(spec)
	if err != nil {
		return 0, err
	}
	return pagesOf(8 << 17), m.Close()
}

func pagesOf(bytes uint64) uint64 {
	page := uint64(unix.Getpagesize())
	return (bytes + page - 1) / page
}
