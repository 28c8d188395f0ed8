// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Run takes the array through its life.
func (i *bigInstance) Run(ctx context.Context, progress func(done, total uint64)) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = Result{Loop: "closed", Metrics: map[string]Metric{}}
	step := func() { progress(i.result.Ops, 0) }
	err := i.live(ctx, step)
	if err == nil {
		err = i.free()
	}
	i.result.Interrupted = ctx.Err() != nil
	return i.result, err
}

// live is everything up to the free. What is not done when ctx is done is left
// out.
func (i *bigInstance) live(ctx context.Context, step func()) error {
	if err := i.createTraced(); err != nil {
		return err
	}
	if err := i.createOther(); err != nil {
		return err
	}
	for _, stage := range []func(context.Context, func()) error{i.touch, i.prove, i.proveInner, i.measure} {
		if ctx.Err() != nil {
			return nil
		}
		if err := stage(ctx, step); err != nil {
			return err
		}
		step()
	}
	return nil
}

func (i *bigInstance) has(path string) bool { return slices.Contains(i.cfg.Paths, path) }

// traced runs f, with the calls of functions where something can time them.
func (i *bigInstance) traced(functions map[string][]string, f func() error) (map[string]Calls, error) {
	if i.tracer == nil {
		return nil, f()
	}
	return i.tracer.Calls(functions, f)
}

// keepCall keeps how long the longest of the calls under a name took, of those
// within a time and by its thread (0: by any), and returns it. Others make and
// free maps too. Where there is none, it is the time itself.
func (i *bigInstance) keepCall(name string, calls map[string]Calls, within Call) Call {
	all, ok := calls[name]
	if !ok {
		return within
	}
	ours := all.within(within)
	if len(ours) == 0 {
		i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("%s: none of %d calls of %s is the array's (%d more were not seen whole)", name, len(all.List), all.Function, all.Unseen))
		return within
	}
	longest := slices.MaxFunc(ours, func(a, b Call) int { return cmp.Compare(a.EndNS-a.BeginNS, b.EndNS-b.BeginNS) })
	how := all.Function + ", fentry to fexit"
	if len(ours) > 1 {
		how = fmt.Sprintf("the longest of %d calls of %s", len(ours), how)
	}
	i.one(name, "ns", how, float64(longest.EndNS-longest.BeginNS))
	return longest
}

// within are the calls within a time, by its thread unless that is 0.
func (c *Calls) within(time Call) []Call {
	var out []Call
	for _, call := range c.List {
		if call.BeginNS >= time.BeginNS && call.EndNS <= time.EndNS && (time.TID == 0 || call.TID == time.TID) {
			out = append(out, call)
		}
	}
	return out
}

// probesTID is the calling thread's number as a BPF program sees it; 0, not
// known, in a PID namespace other than the first, whose inode is fixed
// (PROC_PID_INIT_INO).
func probesTID() int {
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != "pid:[4026531836]" {
		return 0
	}
	return unix.Gettid()
}

// timed keeps how long f took.
func (i *bigInstance) timed(name, how string, f func() error) error {
	begin := time.Now()
	if err := f(); err != nil {
		return err
	}
	i.one(name, "ns", how, float64(time.Since(begin).Nanoseconds()))
	return nil
}

func (i *bigInstance) one(name, unit, how string, value float64) {
	i.result.Metrics[name] = Metric{Values: []float64{value}, Unit: unit, How: how}
}

// memory keeps how much of the target's memory vmalloc has given out.
func (i *bigInstance) memory(name string) error {
	// From 7.1 on a CPU keeps some pages of the count to itself until asked.
	_ = os.WriteFile("/proc/sys/vm/stat_refresh", []byte("1"), 0)
	used, err := vmallocUsed()
	if err != nil {
		return err
	}
	i.one(name, "bytes", "VmallocUsed: pages of vmalloc, all of the target's; page tables are not among them", float64(used))
	return nil
}

// settle waits until what was freed before is: until the memory in use stays the
// same for a tenth of a second, two seconds at most.
func settle() error {
	const step, same, most = 10 * time.Millisecond, 10, 200
	last, since := uint64(0), 0
	for n := 0; n < most && since < same; n++ {
		used, err := vmallocUsed()
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

// pageFunctions prepare an allocated page: with __GFP_ZERO, which a map's pages
// have, that is to clear it and little else. Which of them is not inlined
// depends on the kernel and its compiler; where all are, what clears a page is
// a function in assembly, by what the CPU is good at.
var pageFunctions = []PageFunction{
	{Name: "kernel_init_pages"}, {Name: "kernel_init_free_pages"}, // up to 6.0
	{Name: "clear_highpages_kasan_tagged"}, // from 7.0
	{Name: "prep_new_page", ByOrder: true},
	{Name: "clear_page_erms", Sampled: true}, {Name: "clear_page_rep", Sampled: true}, {Name: "clear_page_orig", Sampled: true},
}

// createTraced makes the array, with the calls within.
func (i *bigInstance) createTraced() error {
	var create Call
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
func (i *bigInstance) createInParts() (create Call, err error) {
	const how = "bpf(2), BPF_MAP_CREATE"
	if i.tracer == nil {
		return i.createHeld(how+"; without probes it can't be split into allocation and zeroing", func(f func() error) error { return f() })
	}
	zeroing, err := i.tracer.PageTime(pageFunctions, i.tryArray, func(watch Watch) (pages uint64, err error) {
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
func (i *bigInstance) createHeld(how string, watch Watch) (create Call, err error) {
	if err := settle(); err != nil {
		return create, err
	}
	if err := i.memory("memory.before"); err != nil {
		return create, err
	}
	create.TID = probesTID()
	if err := watch(func() error {
		create.BeginNS = monotonic()
		err := i.create()
		create.EndNS = monotonic()
		return err
	}); err != nil {
		return create, err
	}
	i.one("create", "ns", how, float64(create.EndNS-create.BeginNS))
	return create, i.memory("memory.held")
}

// tryArray makes and frees a small array of the same kind.
func (i *bigInstance) tryArray() (pages uint64, err error) {
	spec := i.spec()
	spec.Name, spec.ValueSize, spec.MaxEntries = "mp_try", 8, 1<<17
	m, err := newSized(spec)
	if err != nil {
		return 0, err
	}
	return pagesOf(8 << 17), m.Close()
}

func pagesOf(bytes uint64) uint64 {
	page := uint64(unix.Getpagesize())
	return (bytes + page - 1) / page
}

// touch reads one byte of every page for the first time, and then clears all
// of it: what zeroing takes where the memory is there.
func (i *bigInstance) touch(ctx context.Context, _ func()) error {
	if !i.has(pathMmap) {
		return nil
	}
	if err := i.timed("mmap", "mmap(2) of the whole array, which maps every page", i.mapMemory); err != nil {
		return err
	}
	page := unix.Getpagesize()
	const pages = 4096
	var touched []float64
	var sum byte
	for at := 0; at < len(i.mapped) && ctx.Err() == nil; {
		begin, n := time.Now(), 0
		for ; n < pages && at < len(i.mapped); n++ {
			sum += i.mapped[at]
			at += page
		}
		touched = append(touched, float64(time.Since(begin).Nanoseconds())/float64(n))
	}
	i.result.Metrics["touch"] = Metric{Values: touched, Unit: "ns/op", How: fmt.Sprintf("first read of every page through mmap, in batches of %d pages", pages)}
	if sum != 0 {
		i.result.Failures = append(i.result.Failures, "a new array is not all zero")
	}
	if ctx.Err() != nil {
		return nil
	}
	return i.timed("zero", "all of the array set to zero through mmap once it is there: what zeroing takes by itself, to hold create.zeroing against",
		func() error { clear(i.mapped); return nil })
}

// prove holds every path against every other.
func (i *bigInstance) prove(_ context.Context, step func()) error {
	accessors, err := i.accessors()
	defer func() {
		for _, a := range accessors {
			if p, ok := a.(*programAccess); ok {
				p.Close()
			}
		}
	}()
	if err != nil {
		return err
	}
	// A large value is copied at every access by bpf(2).
	const copied = 64 << 20
	elements := min(i.cfg.Elements, max(16, int(copied/i.cfg.stride())))
	a := newAddressing(i.cfg.entries(), i.cfg.stride(), i.cfg.wrapAt(), elements)
	readers := accessors
	if i.cfg.InjectWrap != "" {
		readers = append(slices.Clone(accessors[:len(accessors)-1]), &wrappedReads{accessors[len(accessors)-1], a.stride, i.cfg.wrapAt()})
	}
	failures, err := a.prove(accessors, readers, step)
	if err != nil {
		return err
	}
	i.result.Failures = append(i.result.Failures, failures...)
	if len(failures) == 0 {
		i.result.Findings = append(i.result.Findings, fmt.Sprintf(
			"addressing: ok: %d elements, from index %d to %d (byte offset %d), written by each of %s and read by each",
			len(a.indexes), a.indexes[0], a.indexes[len(a.indexes)-1], uint64(a.indexes[len(a.indexes)-1])*a.stride, &i.cfg.Paths))
	}
	return nil
}

// accessors makes one for every path; those made are returned with an error
// too.
func (i *bigInstance) accessors() (out []accessor, err error) {
	for _, path := range i.cfg.Paths {
		var a accessor
		switch path {
		case pathMmap:
			a = &mmapAccess{memory: i.mapped, stride: i.cfg.stride(), size: uint64(i.cfg.ValueSize)}
		case pathSyscall:
			a = &syscallAccess{call: newElementCall(i.m, int(i.cfg.ValueSize))}
		case pathBatch:
			a = &batchAccess{fd: i.m.FD(), words: make([]uint32, 3), value: make([]byte, i.cfg.ValueSize)}
		default:
			p, err := newProgramAccess(path, loopMaps{m: i.m, other: i.other}, uint32(i.cfg.ValueSize))
			if err != nil {
				return out, err
			}
			a = p
		}
		out = append(out, a)
	}
	return out, nil
}

// innerEntries is how large the array of proveInner is.
const innerEntries = 64

// proveInner holds an inner array that a program looks up against bpf(2): the
// program is compiled for the outer map's template.
func (i *bigInstance) proveInner(_ context.Context, step func()) (err error) {
	for _, flags := range []uint32{0, unix.BPF_F_INNER_MAP} {
		path := pathInlined
		if flags != 0 {
			path = pathHelper
		}
		if !i.has(path) {
			continue
		}
		if err := i.proveInnerBy(path, flags, step); err != nil {
			return err
		}
	}
	return nil
}

func (i *bigInstance) proveInnerBy(path string, flags uint32, step func()) error {
	inner, err := newSized(&ebpf.MapSpec{Name: "mp_inner", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: innerEntries, Flags: flags})
	if err != nil {
		return err
	}
	defer inner.Close()
	outer, err := outerArrayOf(inner)
	if err != nil {
		return err
	}
	defer outer.Close()
	program, err := newProgramAccess(path, loopMaps{outer: outer}, 16)
	if err != nil {
		return err
	}
	defer program.Close()
	a := newAddressing(innerEntries, 16, wrap, 2*innerEntries)
	a.fix = fixInner
	reference := &syscallAccess{call: newElementCall(inner, 16)}
	failures, err := a.prove([]accessor{reference, program}, []accessor{reference, program}, step)
	if err != nil {
		return err
	}
	what := "inner array"
	if flags != 0 {
		what += " with BPF_F_INNER_MAP"
	}
	for _, f := range failures {
		i.result.Failures = append(i.result.Failures, what+": "+f)
	}
	if len(failures) == 0 {
		i.result.Findings = append(i.result.Findings, fmt.Sprintf("addressing: ok: %s, %d elements, by bpf(2) and by a program that looks it up (%s)", what, len(a.indexes), path))
	}
	return nil
}

// free drops the last reference and waits for the memory.
func (i *bigInstance) free() error {
	if err := i.unmapMemory(); err != nil {
		return err
	}
	var f freeing
	calls, err := i.traced(map[string][]string{
		"free.array_map_free": {"array_map_free"},
		"free.vfree":          {"vfree"},
	}, func() (err error) { f, err = i.dropAndWait(); return err })
	if err != nil {
		return err
	}
	free := i.keepCall("free.array_map_free", calls, Call{BeginNS: f.droppingNS, EndNS: math.MaxInt64})
	i.keepCall("free.vfree", calls, free)
	used, how := f.inLimbo(free.BeginNS)
	i.one("memory.limbo", "bytes", how, float64(used))
	return i.memory("memory.after")
}

// freeing is what was seen while the array's memory was given back.
type freeing struct {
	held       uint64 // VmallocUsed just before the last reference was dropped
	droppingNS int64  // when that began
	readings   []memoryReading
}

// memoryReading is how much vmalloc had given out, and when that was known.
type memoryReading struct {
	used uint64
	atNS int64
}

// inLimbo is the last reading that ended before freeing began. Dropping the
// reference gives nothing back, so what was before it will do.
func (f *freeing) inLimbo(freeBeganNS int64) (used uint64, how string) {
	used, how = f.held, "VmallocUsed, just before the last reference was dropped"
	for _, m := range f.readings {
		if m.atNS <= freeBeganNS {
			used, how = m.used, "VmallocUsed, the last reading before freeing began"
		}
	}
	return used, how
}

// dropAndWait drops the last reference and reads the memory in use until most of
// the array's is back. It reads nothing while the call that drops it waits for a
// grace period: that would hold it up.
func (i *bigInstance) dropAndWait() (f freeing, err error) {
	if f.held, err = vmallocUsed(); err != nil {
		return f, err
	}
	f.droppingNS = monotonic()
	i.result.LastPuts, err = i.drop()
	dropped := monotonic()
	if err != nil {
		return f, err
	}
	// A tenth is left for what the rest of the system does meanwhile.
	const limit = time.Minute
	for {
		used, err := vmallocUsed()
		if err != nil {
			return f, err
		}
		now := monotonic()
		f.readings = append(f.readings, memoryReading{used, now})
		if float64(used) <= float64(f.held)-float64(i.cfg.Size)*9/10 {
			i.one("free.total", "ns", "from the end of the call that dropped the last reference until vfree has given 9/10 of its memory back", float64(now-dropped))
			return f, nil
		}
		if now-dropped > limit.Nanoseconds() {
			i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("the array's memory was not back %v after its last reference was dropped", limit))
			return f, nil
		}
		time.Sleep(time.Millisecond)
	}
}
