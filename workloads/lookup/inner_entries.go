// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// Since 134fede4eecf (5.10) an inner map may have another max_entries than the
// template that programs are compiled for; each map type decides since
// f4d0525921d3 (map_meta_equal). proveInnerEntries asks the kernel for every type,
// and holds each index of an array against bpf(2).

// innerProofBytes is more than the maps of a proof take together.
const innerProofBytes = 32 << 20

// innerVariant is one kind of inner map in three sizes.
type innerVariant struct {
	name                     string
	kind                     mapops.Kind
	flags                    uint32
	template, smaller, large uint32 // large 0: there is none
}

// innerVariants lists every kind of map, arrays also with the flags that matter.
func innerVariants(cpus int) []innerVariant {
	var list []innerVariant
	for _, k := range mapops.Kinds() {
		v := innerVariant{name: k.Name, kind: k, template: 64, smaller: 4, large: 256}
		switch k.Type {
		case ebpf.RingBuf, ebpf.UserRingbuf: // whole pages
			v.template, v.smaller, v.large = 8192, 4096, 16384
		case ebpf.CPUMap, ebpf.PerfEventArray: // one for each CPU at most
			v.template, v.smaller, v.large = uint32(cpus), 1, 0
		}
		if k.Entries == 0 || v.smaller == v.template { // it has one size only
			continue
		}
		list = append(list, v)
		if k.Type == ebpf.Array {
			for _, f := range []struct {
				flag uint32
				name string
			}{{unix.BPF_F_INNER_MAP, "BPF_F_INNER_MAP"}, {unix.BPF_F_MMAPABLE, "BPF_F_MMAPABLE"}} {
				w := v
				w.flags, w.name = f.flag, v.name+" with "+f.name
				list = append(list, w)
			}
		}
	}
	return list
}

func (v innerVariant) spec(entries uint32) *ebpf.MapSpec {
	spec := v.kind.Spec("mp_sized", v.kind.Key, v.kind.Value, entries)
	spec.Flags |= v.flags
	return spec
}

// innerAnswers are what the kernel said, by kind: names of variants, with the
// errno where it refused.
type innerAnswers struct{ accepted, refused, never, absent []string }

// proveInnerEntries asks for every kind and both outer maps, and proves arrays.
func (i *instance) proveInnerEntries(ctx context.Context) error {
	var answers innerAnswers
	for _, v := range innerVariants(i.cpus) {
		for _, outer := range []string{mapops.OuterArray, mapops.OuterHash} {
			if ctx.Err() != nil {
				return nil
			}
			if err := i.tryInner(v, outer, &answers); err != nil {
				return err
			}
		}
	}
	for _, a := range []struct {
		what  string
		names []string
	}{
		{"accepted", answers.accepted}, {"refused", answers.refused},
		{"not an inner map of any size", answers.never}, {"no such map here", answers.absent},
	} {
		if names := slices.Compact(a.names); len(names) > 0 {
			i.result.Findings = append(i.result.Findings, fmt.Sprintf("inner maps with another max_entries than the template's: %s: %s", a.what, strings.Join(names, ", ")))
		}
	}
	return nil
}

// tryInner puts inner maps of both other sizes into an outer map, and proves an
// array's indexes by each path that leads to it.
func (i *instance) tryInner(v innerVariant, outerKind string, answers *innerAnswers) (err error) {
	template, err := ebpf.NewMap(v.spec(v.template))
	if err != nil {
		answers.absent = append(answers.absent, v.name+errnoOf(err))
		return notRefused(err)
	}
	if err := template.Close(); err != nil {
		return err
	}
	outer, err := v.outerMap(outerKind)
	if err != nil {
		answers.never = append(answers.never, v.name+errnoOf(err))
		return notRefused(err)
	}
	defer func() { err = errors.Join(err, outer.Close()) }()
	for _, entries := range []uint32{v.smaller, v.large} {
		if entries == 0 {
			continue
		}
		inner, err := mapops.NewMap(v.spec(entries))
		if err != nil {
			return err
		}
		refusal := outer.Update(uint32(0), inner, ebpf.UpdateAny)
		switch {
		case refusal != nil:
			answers.refused = append(answers.refused, v.name+errnoOf(refusal))
			err = notRefused(refusal)
		case v.kind.Type == ebpf.Array || v.kind.Type == ebpf.PerCPUArray:
			answers.accepted = append(answers.accepted, v.name)
			err = i.proveIndexes(v, outerKind, outer, inner)
		default:
			answers.accepted = append(answers.accepted, v.name)
		}
		if err := errors.Join(err, inner.Close()); err != nil {
			return fmt.Errorf("inner map %s of %d entries under a template of %d: %w", v.name, entries, v.template, err)
		}
	}
	return nil
}

// outerMap is an outer map of one slot for such inner maps.
func (v innerVariant) outerMap(kind string) (*ebpf.Map, error) {
	spec := &ebpf.MapSpec{Name: "mp_outer", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: v.spec(v.template)}
	if kind == mapops.OuterHash {
		spec.Type = ebpf.HashOfMaps
	}
	return ebpf.NewMap(spec)
}

// errnoOf names a refusal's errno, in parentheses.
func errnoOf(err error) string {
	var errno unix.Errno
	switch {
	case !errors.As(err, &errno):
		return ""
	case errno == 524: // the kernel's own, of its include/linux/errno.h
		return " (ENOTSUPP)"
	}
	return " (" + unix.ErrnoName(errno) + ")"
}

// notRefused is an error unless the kernel said no to the map itself: what it lacks
// memory or rights for tells nothing of the type.
func notRefused(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) && errno != unix.ENOMEM && errno != unix.EPERM || errors.Is(err, ebpf.ErrNotSupported) {
		return nil
	}
	return err
}
