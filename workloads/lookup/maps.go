// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// instance holds the maps and programs of one trial.
type instance struct {
	cfg    *Workload
	cpus   int
	m      *ebpf.Map // has the elements
	inner  *ebpf.Map // the same with BPF_F_INNER_MAP, for path helper
	outer  *ebpf.Map // leads to m by its key 0; nil unless nested
	outerF *ebpf.Map // leads to inner
	other  *ebpf.Map // one element, of m's kind
	// unprivileged has the same that CAP_BPF alone created; nil: nobody asked.
	unprivileged *instance
	tracer       workloads.Tracer
	result       workloads.Result
}

func newInstance(l *Workload) (*instance, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, err
	}
	if err := mapops.CheckMemory(l.MemoryBytes(results.StrategyNone, cpus)); err != nil {
		return nil, err
	}
	i, err := newMaps(l, cpus)
	if err != nil || !l.Unprivileged {
		return i, err
	}
	if err := mapops.OnlyCapBPF(func() (err error) { i.unprivileged, err = newMaps(l, cpus); return err }); err != nil {
		return nil, errors.Join(fmt.Errorf("--unprivileged: %w", err), i.Close())
	}
	return i, nil
}

func newMaps(l *Workload, cpus int) (_ *instance, err error) {
	i := &instance{cfg: l, cpus: cpus}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	spec := l.elementSpec(cpus)
	if i.m, err = i.filled(spec); err != nil {
		return nil, err
	}
	small := spec.Copy()
	small.MaxEntries = 1
	if i.other, err = mapops.NewMap(small); err != nil {
		return nil, err
	}
	if !l.nested() {
		return i, nil
	}
	if i.outer, err = i.outerOf(i.m, spec); err != nil {
		return nil, err
	}
	if !l.InnerFlag {
		return i, nil
	}
	flagged := spec.Copy()
	flagged.Flags |= unix.BPF_F_INNER_MAP
	if i.inner, err = i.filled(flagged); err != nil {
		return nil, err
	}
	i.outerF, err = i.outerOf(i.inner, flagged)
	return i, err
}

func (l *Workload) elementSpec(cpus int) *ebpf.MapSpec {
	spec := &ebpf.MapSpec{Name: mapops.UniqueName("mp_look"), Type: ebpf.Array, KeySize: 4, ValueSize: uint32(l.ValueSize), MaxEntries: l.entries()}
	switch l.Map {
	case mapops.MapPerCPUArray:
		spec.Type = ebpf.PerCPUArray
	case mapops.MapHash:
		spec.Type = ebpf.Hash
	case mapops.MapLRUHash:
		spec.Type = ebpf.LRUHash
		// The free list is per CPU: without slack, filling evicts.
		spec.MaxEntries += 128 * uint32(cpus)
	}
	return spec
}

// outerOf makes an outer map whose key 0 leads to m.
func (i *instance) outerOf(m *ebpf.Map, inner *ebpf.MapSpec) (*ebpf.Map, error) {
	spec := &ebpf.MapSpec{Name: "mp_outer", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner}
	if i.cfg.Map == mapops.OuterHash {
		spec.Type = ebpf.HashOfMaps
	}
	outer, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("create outer map (%s): %w", i.cfg.Map, err)
	}
	if err := outer.Update(uint32(0), m, ebpf.UpdateAny); err != nil {
		return nil, errors.Join(fmt.Errorf("put inner map into %s: %w", i.cfg.Map, err), outer.Close())
	}
	return outer, nil
}

// filled makes a map in which every key that is looked up is found; arrays have all
// from the beginning.
func (i *instance) filled(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := mapops.NewMap(spec)
	if err != nil || spec.Type == ebpf.Array || spec.Type == ebpf.PerCPUArray {
		return m, err
	}
	value := make([]byte, spec.ValueSize)
	for key := range i.cfg.filled() {
		if err := m.Put(key, value); err != nil {
			return nil, errors.Join(fmt.Errorf("fill map: key %d: %w", key, err), m.Close())
		}
	}
	return m, nil
}

// WatchPrefix is empty: nothing is freed while it is watched.
func (i *instance) WatchPrefix() string { return "" }

// Note is empty: there is no strategy.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// Close frees the maps.
func (i *instance) Close() error {
	var errs []error
	if i.unprivileged != nil {
		errs = append(errs, i.unprivileged.Close())
	}
	for _, m := range []*ebpf.Map{i.outerF, i.outer, i.inner, i.m, i.other} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	*i = instance{cfg: i.cfg}
	return errors.Join(errs...)
}
