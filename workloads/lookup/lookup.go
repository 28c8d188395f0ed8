// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

var (
	mapTypes = []string{mapops.MapArray, mapops.MapPerCPUArray, mapops.MapHash, mapops.MapLRUHash, mapops.OuterArray, mapops.OuterHash}
	paths    = []string{mapops.PathSyscall, mapops.PathHelper, mapops.PathInlined, mapops.PathPerCPUHelper, mapops.PathBatch}
)

func init() {
	workloads.Register(workloads.Description{
		Name:    "lookup",
		Summary: "looks elements up, by several paths, and says what one lookup costs",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// maxSample is the most that --sample may be.
const maxSample = 1 << 16

// Workload measures the cost of a lookup by one or more paths, without and with
// the probe on the map's lookup function.
type Workload struct {
	Map       string
	Paths     flagvalue.Names
	Pattern   string
	Size      flagvalue.Size
	ValueSize flagvalue.Size
	Filled    string
	Count     uint64
	Sample    uint64
	Readers   int
	InnerFlag bool
	// InnerEntriesDiffer has inner maps of other sizes proven first.
	InnerEntriesDiffer bool
	// Unprivileged has everything measured again with maps that CAP_BPF alone created.
	Unprivileged bool
	// What gate --self-test plants, see addInjectFlags.
	InjectInstructions string

	fs *pflag.FlagSet
}

// AddFlags registers the parameters.
func (l *Workload) AddFlags(fs *pflag.FlagSet) {
	l.fs, l.Size, l.ValueSize = fs, 64<<10, 8
	fs.StringVar(&l.Map, "map", mapops.MapArray, "map: "+strings.Join(mapTypes, ", ")+"; behind the last two is an array")
	l.Paths = flagvalue.Names{mapops.PathSyscall, mapops.PathHelper, mapops.PathInlined}
	fs.Var(&l.Paths, "path", "ways to look up, one after the other: "+strings.Join(paths, ", "))
	fs.StringVar(&l.Pattern, "pattern", mapops.PatternSequential, "which elements: "+strings.Join(mapops.Patterns, ", "))
	flagvalue.SetKnown(fs, "map", mapTypes...)
	flagvalue.SetKnown(fs, "path", paths...)
	flagvalue.SetKnown(fs, "pattern", mapops.Patterns...)
	fs.Var(&l.Size, "size", "bytes of all values together; the map has this by --value-size elements")
	fs.Var(&l.ValueSize, "value-size", "bytes of a value")
	fs.StringVar(&l.Filled, "filled", "", "elements that are in a hash, of those that --size makes room for, in percent: 1% (default all)")
	fs.Uint64Var(&l.Count, "count", 100_000, "lookups by each path")
	fs.Uint64Var(&l.Sample, "sample", 1, "with the probe, time one lookup in so many, at random gaps: a power of two, up to 65536")
	_ = fs.SetAnnotation("sample", workloads.OnlyGiven, nil) // it is not 1
	fs.IntVar(&l.Readers, "readers", 0, "BPF programs that look up meanwhile")
	fs.BoolVar(&l.InnerFlag, "inner-map-flag", true, "create inner arrays with BPF_F_INNER_MAP, where the path is helper")
	fs.BoolVar(&l.InnerEntriesDiffer, "inner-entries-differ", false, "first prove inner maps whose max_entries is not the template's: which types the kernel takes, and that each index of an array leads to its element, or to none past the end")
	_ = fs.SetAnnotation("inner-entries-differ", workloads.OnlyGiven, nil) // it exists
	fs.BoolVar(&l.Unprivileged, "unprivileged", false, "measure the same again with maps that a thread with CAP_BPF alone creates: index masks, entries rounded up")
	_ = fs.SetAnnotation("unprivileged", workloads.OnlyGiven, nil) // it exists
	l.addInjectFlags(fs)
}

// Strategies lists the only one: nothing is freed.
func (l *Workload) Strategies() []string { return []string{results.StrategyNone} }

// Check validates the parameters.
func (l *Workload) Check(strategy string) error {
	if err := workloads.CheckStrategy(l, strategy); err != nil {
		return err
	}
	if err := errors.Join(
		flagvalue.OneOf("map", l.Map, mapTypes...), flagvalue.OneOf("pattern", l.Pattern, mapops.Patterns...),
		mapops.CheckPaths(l.Paths, paths), mapops.CheckSizes(l.Size, l.ValueSize)); err != nil {
		return err
	}
	spec := l.elementSpec(1)
	if err := mapops.CheckValue("value-size", spec.Type, uint64(spec.KeySize), uint64(l.ValueSize)); err != nil {
		return err
	}
	if _, err := l.injected(""); err != nil {
		return err
	}
	if err := errors.Join(l.checkFilled(), l.checkUnprivileged()); err != nil {
		return err
	}
	switch {
	case slices.Contains(l.Paths, mapops.PathPerCPUHelper) && l.Map != mapops.MapPerCPUArray:
		return errors.New("--path percpu-helper needs --map percpu-array")
	case slices.Contains(l.Paths, mapops.PathBatch) && l.nested():
		return fmt.Errorf("--path batch looks up no inner map (leave it out with --map %s)", l.Map)
	case l.Count < mapops.MinOperations || l.Count > 1<<40:
		return fmt.Errorf("--count must be from %d to 2^40", mapops.MinOperations)
	case l.Sample < 1 || l.Sample > maxSample || l.Sample&(l.Sample-1) != 0:
		return fmt.Errorf("--sample must be a power of two from 1 to %d", maxSample)
	case l.Sample > l.Count:
		return fmt.Errorf("--sample %d leaves none of %d lookups (use a --count above it)", l.Sample, l.Count)
	case l.Sample > 1 && !slices.ContainsFunc(l.Paths, func(path string) bool { return l.function(path) != "" }):
		return errors.New("--sample needs a path that a probe sees, which an inlined lookup is not")
	case l.Readers < 0 || l.Readers > 1024:
		return errors.New("--readers must be from 0 to 1024")
	}
	return nil
}

func (l *Workload) entries() uint32 { return uint32(l.Size / l.ValueSize) }

// nested tells whether the elements are behind an outer map.
func (l *Workload) nested() bool { return l.Map == mapops.OuterArray || l.Map == mapops.OuterHash }

// MemoryBytes implements Workload.
func (l *Workload) MemoryBytes(_ string, cpus int) uint64 {
	maps := uint64(1)
	if l.nested() {
		// One with BPF_F_INNER_MAP beside it; and the library makes a template
		// of the same size while it makes an outer map.
		maps = 2
		if l.InnerFlag {
			maps = 3
		}
	}
	maps += l.unprivilegedMaps(maps)
	value := mapops.Stride(uint64(l.ValueSize))
	if l.Map == mapops.MapPerCPUArray {
		value *= uint64(cpus)
	}
	// Values in user space and in the kernel's copies of them.
	copied := 4 * value
	if slices.Contains(l.Paths, mapops.PathBatch) {
		copied += mapops.TimesBytes(uint64(batchElements(l)), 2*value)
	}
	if l.InnerEntriesDiffer {
		copied += innerProofBytes
	}
	return mapops.TimesBytes(maps, mapops.MapBytes(l.elementSpec(cpus), cpus)) + copied + uint64(l.Readers)*mapops.ThreadBytes + mapops.TracerBytes
}

// Setup makes the map and fills it.
func (l *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if err := l.Check(strategy); err != nil {
		return nil, err
	}
	return newInstance(l)
}
