// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"context"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// prove holds every path against every other.
func (i *instance) prove(_ context.Context, step func()) error {
	accessors, err := i.accessors()
	defer func() {
		for _, a := range accessors {
			if p, ok := a.(*mapops.ProgramAccess); ok {
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
	a := mapops.NewAddressing(i.cfg.entries(), i.cfg.stride(), i.cfg.wrapAt(), elements)
	readers := accessors
	if i.cfg.InjectWrap != "" {
		readers = append(slices.Clone(accessors[:len(accessors)-1]), &wrappedReads{accessors[len(accessors)-1], i.cfg.stride(), i.cfg.wrapAt()})
	}
	failures, err := a.Prove(accessors, readers, step)
	if err != nil {
		return err
	}
	i.result.Failures = append(i.result.Failures, failures...)
	if len(failures) == 0 {
		i.result.Findings = append(i.result.Findings, fmt.Sprintf(
			"addressing: ok: %d elements, from index %d to %d (byte offset %d), written by each of %s and read by each",
			len(a.Indexes), a.Indexes[0], a.Indexes[len(a.Indexes)-1], uint64(a.Indexes[len(a.Indexes)-1])*a.Stride, &i.cfg.Paths))
	}
	return nil
}

// accessors makes one for every path; those made are returned with an error
// too.
func (i *instance) accessors() (out []mapops.Accessor, err error) {
	for _, path := range i.cfg.Paths {
		var a mapops.Accessor
		switch path {
		case mapops.PathMmap:
			a = mapops.NewMmapAccess(i.mapped, i.cfg.stride(), uint64(i.cfg.ValueSize))
		case mapops.PathSyscall:
			a = mapops.NewSyscallAccess(i.m, int(i.cfg.ValueSize))
		case mapops.PathBatch:
			a = mapops.NewBatchAccess(i.m, int(i.cfg.ValueSize))
		default:
			p, err := mapops.NewProgramAccess(path, mapops.LoopMaps{Map: i.m, Other: i.other}, uint32(i.cfg.ValueSize))
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
func (i *instance) proveInner(_ context.Context, step func()) (err error) {
	for _, flags := range []uint32{0, unix.BPF_F_INNER_MAP} {
		path := mapops.PathInlined
		if flags != 0 {
			path = mapops.PathHelper
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

func (i *instance) proveInnerBy(path string, flags uint32, step func()) error {
	inner, err := mapops.NewMap(&ebpf.MapSpec{Name: "mp_inner", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: innerEntries, Flags: flags})
	if err != nil {
		return err
	}
	defer inner.Close()
	outer, err := outerArrayOf(inner)
	if err != nil {
		return err
	}
	defer outer.Close()
	program, err := mapops.NewProgramAccess(path, mapops.LoopMaps{Outer: outer}, 16)
	if err != nil {
		return err
	}
	defer program.Close()
	a := mapops.NewAddressing(innerEntries, 16, mapops.OffsetWrap, 2*innerEntries)
	a.Fix = mapops.FixInnerElemSize
	reference := mapops.NewSyscallAccess(inner, 16)
	failures, err := a.Prove([]mapops.Accessor{reference, program}, []mapops.Accessor{reference, program}, step)
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
		i.result.Findings = append(i.result.Findings, fmt.Sprintf("addressing: ok: %s, %d elements, by bpf(2) and by a program that looks it up (%s)", what, len(a.Indexes), path))
	}
	return nil
}
