// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// The ways to an element.
const (
	pathSyscall      = "syscall"
	pathHelper       = "helper"
	pathInlined      = "inlined"
	pathPerCPUHelper = "percpu-helper"
	pathBatch        = "batch"
	pathMmap         = "mmap" // bigarray only
)

const (
	mapArray       = "array"
	mapPerCPUArray = "percpu-array"
	mapHash        = "hash"
	mapLRUHash     = "lru-hash"
)

// The orders in which elements are taken.
const (
	patternSequential = "sequential"
	patternRandom     = "random"
	patternStride     = "stride"
	patternHot        = "hot"
)

var (
	lookupMaps     = []string{mapArray, mapPerCPUArray, mapHash, mapLRUHash, outerArray, outerHash}
	lookupPaths    = []string{pathSyscall, pathHelper, pathInlined, pathPerCPUHelper, pathBatch}
	lookupPatterns = []string{patternSequential, patternRandom, patternStride, patternHot}
)

// maxValueSize is what the kernel takes for an array's value since
// 63b8ce77b15e (arrays) and for a hash's at most; before, and in other types,
// it is less, and the kernel says so.
const maxValueSize = math.MaxInt32 - 8

func init() {
	register(Description{
		Name:    "lookup",
		Summary: "looks elements up, by several paths, and says what one lookup costs",
		New:     func() Workload { return new(Lookups) },
	})
}

// Lookups measures the cost of a lookup by one or more paths, without and with
// the probe on the map's lookup function.
type Lookups struct {
	Map       string
	Paths     Names
	Pattern   string
	Size      Size
	ValueSize Size
	Count     uint64
	Readers   int
	InnerFlag bool
	// What gate --self-test plants, see lookup_inject.go.
	InjectInstructions string

	fs *pflag.FlagSet
}

// AddFlags registers the parameters.
func (l *Lookups) AddFlags(fs *pflag.FlagSet) {
	l.fs, l.Size, l.ValueSize = fs, 64<<10, 8
	fs.StringVar(&l.Map, "map", mapArray, "map: "+strings.Join(lookupMaps, "|")+"; behind the last two is an array")
	l.Paths = Names{pathSyscall, pathHelper, pathInlined}
	fs.Var(&l.Paths, "path", "ways to look up, one after the other: "+strings.Join(lookupPaths, ","))
	fs.StringVar(&l.Pattern, "pattern", patternSequential, "which elements: "+strings.Join(lookupPatterns, "|"))
	fs.Var(&l.Size, "size", "bytes of all values together; the map has this by --value-size elements")
	fs.Var(&l.ValueSize, "value-size", "bytes of a value")
	fs.Uint64Var(&l.Count, "count", 100_000, "lookups by each path")
	fs.IntVar(&l.Readers, "readers", 0, "BPF programs that look up meanwhile")
	fs.BoolVar(&l.InnerFlag, "inner-map-flag", true, "create inner arrays with BPF_F_INNER_MAP, where the path is helper")
	l.addInjectFlags(fs)
}

// Strategies lists the only one: nothing is freed.
func (l *Lookups) Strategies() []string { return []string{StrategyNone} }

// Check validates the parameters.
func (l *Lookups) Check(strategy string) error {
	if err := CheckStrategy(l, strategy); err != nil {
		return err
	}
	if err := errors.Join(
		oneOf("map", l.Map, lookupMaps), oneOf("pattern", l.Pattern, lookupPatterns),
		checkPaths(l.Paths, lookupPaths), checkSizes(l.Size, l.ValueSize)); err != nil {
		return err
	}
	if _, err := l.injected(""); err != nil {
		return err
	}
	switch {
	case slices.Contains(l.Paths, pathPerCPUHelper) && l.Map != mapPerCPUArray:
		return errors.New("--path percpu-helper needs --map percpu-array")
	case slices.Contains(l.Paths, pathBatch) && l.nested():
		return fmt.Errorf("--path batch looks up no inner map (leave it out with --map %s)", l.Map)
	case l.Count < minLookups || l.Count > 1<<40:
		return fmt.Errorf("--count must be from %d to 2^40", minLookups)
	case l.Readers < 0 || l.Readers > 1024:
		return errors.New("--readers must be from 0 to 1024")
	}
	return nil
}

func oneOf(flag, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("--%s %q is not one of %s", flag, value, strings.Join(known, ", "))
}

func checkPaths(paths, known []string) error {
	if len(paths) == 0 {
		return errors.New("--path names none")
	}
	for i, p := range paths {
		if err := oneOf("path", p, known); err != nil {
			return err
		}
		if slices.Contains(paths[:i], p) {
			return fmt.Errorf("--path names %s twice", p)
		}
	}
	return nil
}

// checkSizes refuses what no kernel could make a map of.
func checkSizes(size, value Size) error {
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

func (l *Lookups) entries() uint32 { return uint32(l.Size / l.ValueSize) }

// nested tells whether the elements are behind an outer map.
func (l *Lookups) nested() bool { return l.Map == outerArray || l.Map == outerHash }

// MemoryBytes is about what the maps take: what a target must have.
func (l *Lookups) MemoryBytes(cpus int) uint64 {
	values := uint64(l.entries()) * roundUp8(uint64(l.ValueSize))
	switch l.Map {
	case mapPerCPUArray:
		return values * uint64(cpus)
	case mapHash, mapLRUHash:
		// An element's header and key, and two pointers of its bucket.
		return values + uint64(l.entries())*(56+8+32)
	}
	return values
}

func roundUp8(n uint64) uint64 { return (n + 7) &^ 7 }

// Setup makes the map and fills it.
func (l *Lookups) Setup(_ context.Context, strategy string) (Instance, error) {
	if err := l.Check(strategy); err != nil {
		return nil, err
	}
	return newLookupInstance(l)
}
