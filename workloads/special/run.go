// SPDX-License-Identifier: Apache-2.0

//go:build linux

package special

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// instance holds what fills maps.
type instance struct {
	cfg    *Workload
	prefix string
	inner  *ebpf.MapSpec
	coll   *ebpf.Collection
	outer  *ebpf.Map
	fill   *ebpf.Program
	link   link.Link // of a tracing program that fills
	local  *localFields
	tracer workloads.Tracer
	record func(ns int64)
	closes []mapops.Span
	result workloads.Result
}

func newInstance(w *Workload) (_ *instance, err error) {
	f := w.field()
	spec, err := loadSpecial()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF programs: %w", err)
	}
	inner, outer := f.in+"_inner", f.in+"_outer"
	i := &instance{cfg: w, prefix: mapops.UniqueName("mp_field"), inner: spec.Maps[inner].Copy(), record: func(int64) {}}
	i.inner.Type, i.inner.MaxEntries = mapTypes[w.Map], w.Entries
	if f.local {
		if i.local, err = newLocalFields(w, i.inner); err != nil {
			return nil, fmt.Errorf("a map of type %s with --field %s: %w", w.Map, w.Field, err)
		}
		i.outer = i.local.outer
		return i, nil
	}
	if err := tagPointer(i.inner, f.tag); err != nil {
		return nil, err
	}
	for name, m := range spec.Maps {
		switch {
		case name == outer:
			m.InnerMap.Type, m.InnerMap.MaxEntries, m.InnerMap.Value = i.inner.Type, i.inner.MaxEntries, i.inner.Value
		case name[0] != '.':
			delete(spec.Maps, name)
		}
	}
	// The first of its kind says whether the kernel takes it.
	template := i.inner.Copy()
	template.Name = "mp_template"
	m, err := mapops.NewMap(template)
	if err != nil {
		return nil, fmt.Errorf("a map of type %s with --field %s: %w", w.Map, w.Field, err)
	}
	if err := m.Close(); err != nil {
		return nil, err
	}
	if f.fill == nil {
		return i, i.holdInner()
	}
	for _, name := range f.fill {
		only := spec.Copy()
		only.Programs = map[string]*ebpf.ProgramSpec{name: only.Programs[name]}
		if i.coll, err = ebpf.NewCollection(only); err == nil {
			i.outer, i.fill = i.coll.Maps[outer], i.coll.Programs[name]
			return i, i.attach()
		}
	}
	return nil, fmt.Errorf("load the program that fills maps of type %s with --field %s in an outer map: %w", w.Map, w.Field, err)
}

// holdInner makes the outer map of maps that no program fills.
func (i *instance) holdInner() (err error) {
	if !i.cfg.AsInner {
		return nil
	}
	i.outer, err = ebpf.NewMap(&ebpf.MapSpec{Name: "mp_outer", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: i.inner})
	if err != nil {
		return fmt.Errorf("an outer map of maps of type %s with --field %s: %w", i.cfg.Map, i.cfg.Field, err)
	}
	return nil
}

// tagPointer gives the pointer that begins a map's values a type tag.
func tagPointer(spec *ebpf.MapSpec, tag string) error {
	if tag == "" {
		return nil
	}
	value, ok := btf.Copy(spec.Value).(*btf.Struct)
	if !ok || len(value.Members) == 0 {
		return fmt.Errorf("values of %s are no structures", spec.Name)
	}
	pointer, ok := value.Members[0].Type.(*btf.Pointer)
	if !ok {
		return fmt.Errorf("values of %s don't begin with a pointer", spec.Name)
	}
	pointer.Target = &btf.TypeTag{Value: tag, Type: pointer.Target}
	spec.Value = value
	return nil
}

// attach attaches a tracing program to the function that its own test run calls.
func (i *instance) attach() (err error) {
	if i.fill.Type() == ebpf.Tracing {
		if i.link, err = link.AttachTracing(link.TracingOptions{Program: i.fill}); err != nil {
			i.coll.Close()
			return fmt.Errorf("attach the program that fills maps: %w", err)
		}
	}
	return nil
}

// cancels are the functions that destroy the fields of a map whose last user lets go, by
// the kernels that have them: the first since 5.15, then those of 6.12 and 7.2.
var cancels = map[ebpf.MapType][]string{
	ebpf.Array:   {"array_map_free_internal_structs", "array_map_free_timers_wq", "array_map_free_timers"},
	ebpf.Hash:    {"htab_map_free_internal_structs", "htab_map_free_timers_and_wq", "htab_map_free_timers"},
	ebpf.LRUHash: {"htab_map_free_internal_structs", "htab_map_free_timers_and_wq", "htab_map_free_timers"},
}

// Run makes, fills and closes one map after the other.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	tid := mapops.ProbesTID()
	calls, err := i.traced(func() error {
		return mapops.InTurn(ctx, i.cfg.Count, &i.result, progress, i.record, i.one)
	})
	if err != nil {
		return i.result, err
	}
	i.keep(i.closes, calls, tid)
	if err := i.cancelElements(tid); err != nil {
		return i.result, err
	}
	if i.local == nil {
		return i.result, nil
	}
	found, err := i.local.otherTypes()
	i.result.Findings = append(i.result.Findings, found)
	return i.result, err
}

// slot is the outer map's only one.
const slot = uint32(0)

// one makes a map, fills it, and drops the only reference: by close(2), or after that by
// taking the map out of the outer one.
func (i *instance) one(n uint64) (mapops.Span, error) {
	m, err := i.newMap(fmt.Sprintf("%s%d", i.prefix, n%100))
	if err != nil {
		return mapops.Span{}, err
	}
	if err := i.fillMap(m); err != nil {
		return mapops.Span{}, errors.Join(err, m.Close())
	}
	if !i.cfg.AsInner {
		if err := i.takeOut(); err != nil {
			return mapops.Span{}, errors.Join(err, m.Close())
		}
	}
	closed, err := mapops.Timed(m.Close)
	i.closes = append(i.closes, closed)
	if err != nil || !i.cfg.AsInner {
		return closed, err
	}
	return mapops.Timed(i.takeOut)
}

// takeOut takes the map out of the outer one, if there is one.
func (i *instance) takeOut() error {
	if i.outer == nil {
		return nil
	}
	if err := i.outer.Delete(slot); err != nil {
		return fmt.Errorf("take a map out of the outer map: %w", err)
	}
	return nil
}

func (i *instance) newMap(name string) (*ebpf.Map, error) {
	if i.local != nil {
		return i.local.newMap(name)
	}
	spec := i.inner.Copy()
	spec.Name = name
	return mapops.NewMap(spec)
}

// fillMap fills a map through the slot of the outer map, where no program holds it. A
// field that user space can write is filled by bpf(2): up to 6.1 no map with a lock may
// be in an outer map.
func (i *instance) fillMap(m *ebpf.Map) error {
	if i.outer != nil {
		if err := i.outer.Put(slot, m); err != nil {
			return fmt.Errorf("put a map into the outer map: %w", err)
		}
	}
	n := i.cfg.elements()
	switch {
	case i.local != nil && n > 0:
		return i.local.fillElements(n)
	case i.fill != nil && n > 0:
		return i.fillElements(n)
	case i.fill == nil && i.local == nil:
		value := make([]byte, m.ValueSize())
		for key := range n {
			if err := m.Put(key, value); err != nil {
				return fmt.Errorf("fill element %d: %w", key, err)
			}
		}
	}
	return nil
}

// fillElements fills the first n elements of the map in the outer map's slot.
func (i *instance) fillElements(n uint32) error {
	if err := errors.Join(i.coll.Variables["next"].Set(uint32(0)), i.coll.Variables["total"].Set(n), i.coll.Variables["failed"].Set(int64(0))); err != nil {
		return err
	}
	run := &ebpf.RunOptions{Data: make([]byte, 64), Repeat: n}
	if i.link != nil { // it fills all of them at once
		run = &ebpf.RunOptions{}
	}
	if _, err := i.fill.Run(run); err != nil {
		return fmt.Errorf("fill %d elements: %w", n, err)
	}
	var next uint32
	var failed int64
	if err := errors.Join(i.coll.Variables["next"].Get(&next), i.coll.Variables["failed"].Get(&failed)); err != nil {
		return err
	}
	if failed != 0 || next != n {
		return fmt.Errorf("fill %d elements: %d were, the last call that failed: %w", n, next, unix.Errno(-failed))
	}
	return nil
}

// keep sums up how long closes took, and what of it was the cancelling.
func (i *instance) keep(closes []mapops.Span, calls map[string]workloads.Calls, tid int) {
	var took, within, after []float64
	cancel, traced := calls["special.cancel"]
	for _, c := range closes {
		took = append(took, c.NS())
	}
	for _, c := range cancel.List {
		ns := float64(c.EndNS - c.BeginNS)
		if slices.ContainsFunc(closes, func(s mapops.Span) bool { return s.Has(c, tid) }) {
			within = append(within, ns)
		} else {
			after = append(after, ns)
		}
	}
	i.result.Add("special.close", "ns", "close(2) of the map's only descriptor", took)
	if !traced {
		return
	}
	i.result.Add("special.cancel.close", "ns", cancel.Function+" within that close, fentry to fexit", within)
	i.result.Add("special.cancel.worker", "ns", cancel.Function+" at other times, by the worker that frees maps among others", after)
	i.result.Findings = append(i.result.Findings, fmt.Sprintf("of %d closes, %s ran in %d", len(closes), cancel.Function, len(within)))
}

// traced runs f, with the calls of what cancels fields where something can time them.
func (i *instance) traced(f func() error) (map[string]workloads.Calls, error) {
	if i.tracer == nil || !i.cfg.field().cancelled {
		return nil, f()
	}
	return i.tracer.Calls(map[string][]string{"special.cancel": cancels[i.inner.Type]}, f)
}

// WatchPrefix begins the names of the maps that die, and of no others.
func (i *instance) WatchPrefix() string { return i.prefix }

// Note is empty: nothing is arranged.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// SetRecorder implements workloads.Recorded.
func (i *instance) SetRecorder(record func(ns int64)) { i.record = record }

// Close drops what is left.
func (i *instance) Close() error {
	var err error
	if i.link != nil {
		err = i.link.Close()
	}
	switch {
	case i.coll != nil:
		i.coll.Close() // with the outer map
	case i.local != nil:
		err = errors.Join(err, i.local.Close())
	case i.outer != nil:
		err = errors.Join(err, i.outer.Close())
	}
	return err
}
