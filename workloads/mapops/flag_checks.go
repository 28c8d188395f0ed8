// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/flagvalue"
)

// maxValueSize is what the kernel takes for an array's value since
// 63b8ce77b15e (arrays) and for a hash's at most; before, and in other types,
// it is less, and the kernel says so.
const maxValueSize = math.MaxInt32 - 8

// CheckOneOf is an error unless a flag has one of the values that are known.
func CheckOneOf(flag, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("--%s %q is not one of %s", flag, value, strings.Join(known, ", "))
}

// CheckPaths is an error unless --path names some of the known ones, each once.
func CheckPaths(paths, known []string) error {
	if len(paths) == 0 {
		return errors.New("--path names none")
	}
	for i, p := range paths {
		if err := CheckOneOf("path", p, known); err != nil {
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
