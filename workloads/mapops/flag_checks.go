// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/workloads"
)

// maxValueSize is what the kernel takes for an array's value since
// 63b8ce77b15e (arrays) and for a hash's at most; before, and in other types,
// it is less, and the kernel says so.
const maxValueSize = math.MaxInt32 - 8

const (
	kmallocMax = 4 << 20  // KMALLOC_MAX_SIZE
	perCPUMax  = 32 << 10 // PCPU_MIN_UNIT_SIZE
)

// CheckValue refuses a value that no kernel takes for a map of that type with keys
// of that many bytes. flag is what gives its size.
func CheckValue(flag string, of ebpf.MapType, key, value uint64) error {
	switch of {
	case ebpf.Hash, ebpf.LRUHash:
		if key+value >= kmallocMax-hashElement {
			return fmt.Errorf("--%s %d: a %s's key and value together have less than %d bytes, however few its elements (KMALLOC_MAX_SIZE)",
				flag, value, of, kmallocMax-hashElement)
		}
	case ebpf.PerCPUArray, ebpf.PerCPUHash, ebpf.LRUCPUHash:
		if Stride(value) > perCPUMax {
			return fmt.Errorf("--%s %d: a %s's value has at most %d bytes on each CPU (PCPU_MIN_UNIT_SIZE)", flag, value, of, perCPUMax)
		}
	}
	if value > maxValueSize {
		return fmt.Errorf("--%s %d is more than the kernel's limit of %d bytes", flag, value, maxValueSize)
	}
	return nil
}

// CheckValueOn refuses an array's value that a kernel of that release does not take.
func CheckValueOn(t workloads.Target, flag string, of ebpf.MapType, value uint64) error {
	if of == ebpf.Array && value > kmallocMax && t.Before(6, 0) {
		return fmt.Errorf("--%s %d: an array's value has at most %d bytes there (KMALLOC_MAX_SIZE; more came with 6.0, 63b8ce77b15e)", flag, value, kmallocMax)
	}
	return nil
}

// CheckPaths is an error unless --path names some of the known ones, each once.
func CheckPaths(paths, known []string) error {
	if len(paths) == 0 {
		return errors.New("--path names none")
	}
	for i, p := range paths {
		if err := flagvalue.OneOf("path", p, known...); err != nil {
			return err
		}
		if slices.Contains(paths[:i], p) {
			return fmt.Errorf("--path names %s twice", p)
		}
	}
	return nil
}

// CheckSizes refuses a --size and a --value-size that no kernel could make a map
// of.
func CheckSizes(size, value flagvalue.Size) error {
	switch {
	case size == 0:
		return errors.New("--size must be more than 0")
	case value == 0:
		return errors.New("--value-size must be more than 0")
	case value > maxValueSize:
		return fmt.Errorf("--value-size %s is more than the kernel's limit of %d bytes", &value, maxValueSize)
	case size < value:
		return fmt.Errorf("--size %s holds no element of --value-size %s", &size, &value)
	case uint64(size/value) > math.MaxUint32:
		return fmt.Errorf("--size %s has %d elements of --value-size %s, and a map at most %d (give a larger --value-size)",
			&size, uint64(size/value), &value, uint32(math.MaxUint32))
	}
	return nil
}
