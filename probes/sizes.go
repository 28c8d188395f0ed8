// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// A Layout is what the running kernel's BTF says of its structs.
type Layout struct{ spec *btf.Spec }

// KernelLayout is that of the kernel that the probes are attached to.
func (p *Probes) KernelLayout() (Layout, error) {
	spec, err := p.types.Kernel()
	if err != nil {
		return Layout{}, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	return Layout{spec}, nil
}

func (l Layout) find(name string) *btf.Struct {
	var s *btf.Struct
	if l.spec.TypeByName(name, &s) != nil {
		return nil
	}
	return s
}

// Size is the size of a struct in bytes, 0 where this kernel has none.
func (l Layout) Size(name string) uint64 {
	if s := l.find(name); s != nil {
		return uint64(s.Size)
	}
	return 0
}

// Elements is the length of an array that is a member of a struct, 0 where
// this kernel has no such member.
func (l Layout) Elements(structure, member string) uint64 {
	s := l.find(structure)
	if s == nil {
		return 0
	}
	for _, m := range s.Members {
		if array, ok := m.Type.(*btf.Array); ok && m.Name == member {
			return uint64(array.Nelems)
		}
	}
	return 0
}
