// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// NewMap makes a map. Its error explains why the kernel refused a size.
func NewMap(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(spec)
	if err == nil {
		return m, nil
	}
	hint := ""
	switch {
	case errors.Is(err, unix.ENOMEM):
		hint = " (out of memory: give the target more --memory, or a smaller --size)"
	case errors.Is(err, unix.E2BIG) && spec.ValueSize > 4<<20:
		hint = " (before 63b8ce77b15e an array's value has at most 4 MiB: try a smaller --value-size)"
	case errors.Is(err, unix.E2BIG):
		hint = " (more elements than this kernel allows: try a smaller --size)"
	case errors.Is(err, unix.EINVAL):
		hint = " (does this kernel have maps of this kind and size?)"
	}
	return nil, fmt.Errorf("create %s map of %d × %d bytes: %w%s", spec.Type, spec.MaxEntries, spec.ValueSize, err, hint)
}

// Stride is how far apart two values of valueSize bytes are in a map, in bytes.
func Stride(valueSize uint64) uint64 { return (valueSize + 7) &^ 7 }
