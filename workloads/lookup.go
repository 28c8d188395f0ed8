// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

var (
	lookupMaps  = []string{mapArray, mapPerCPUArray, mapHash, mapLRUHash, outerArray, outerHash}
	lookupPaths = []string{pathSyscall, pathHelper, pathInlined, pathPerCPUHelper, pathBatch}
)

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
	// What gate --self-test plants, see addInjectFlags.
	InjectInstructions string

	fs *pflag.FlagSet
}

// AddFlags registers the parameters.
func (l *Lookups) AddFlags(fs *pflag.FlagSet) {
	l.fs, l.Size, l.ValueSize = fs, 64<<10, 8
	fs.StringVar(&l.Map, "map", mapArray, "map: "+strings.Join(lookupMaps, "|")+"; behind the last two is an array")
	l.Paths = Names{pathSyscall, pathHelper, pathInlined}
	fs.Var(&l.Paths, "path", "ways to look up, one after the other: "+strings.Join(lookupPaths, ","))
	fs.StringVar(&l.Pattern, "pattern", patternSequential, "which elements: "+strings.Join(patterns, "|"))
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
		oneOf("map", l.Map, lookupMaps), oneOf("pattern", l.Pattern, patterns),
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

// Setup makes the map and fills it.
func (l *Lookups) Setup(_ context.Context, strategy string) (Instance, error) {
	if err := l.Check(strategy); err != nil {
		return nil, err
	}
	return newLookupInstance(l)
}
