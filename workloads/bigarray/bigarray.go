// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

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

var paths = []string{mapops.PathSyscall, mapops.PathHelper, mapops.PathInlined, mapops.PathBatch, mapops.PathMmap}

func init() {
	workloads.Register(workloads.Description{
		Name:    "bigarray",
		Summary: "creates an array past 4 GiB, proves that every path reaches the same elements, and frees it",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload takes one large array through its life: create, first touch,
// lookups and updates by every path, and the free; with a proof that an index
// leads to its own element by every path.
type Workload struct {
	Size      flagvalue.Size
	ValueSize flagvalue.Size
	Paths     flagvalue.Names
	Pattern   string
	Count     uint64
	Elements  int
	// InjectWrap plants a fault: the last path reads as if the offset of an
	// element had no more than this many bytes, as it did with 32 bits.
	InjectWrap string
}

// AddFlags registers the parameters.
func (b *Workload) AddFlags(fs *pflag.FlagSet) {
	b.Size, b.ValueSize = 5<<30, 8
	fs.Var(&b.Size, "size", "bytes of all values together; the array has this by --value-size elements")
	fs.Var(&b.ValueSize, "value-size", "bytes of a value, from 8")
	b.Paths = slices.Clone(paths)
	fs.Var(&b.Paths, "path", "ways to an element: "+strings.Join(paths, ", "))
	fs.StringVar(&b.Pattern, "pattern", mapops.PatternRandom, "which elements are timed: "+strings.Join(mapops.Patterns, ", "))
	flagvalue.SetKnown(fs, "path", paths...)
	flagvalue.SetKnown(fs, "pattern", mapops.Patterns...)
	fs.Uint64Var(&b.Count, "count", 100_000, "timed lookups and updates by each path")
	fs.IntVar(&b.Elements, "elements", 2000, "about how many elements the proof of addressing stamps and reads, by every pair of paths")
	fs.StringVar(&b.InjectWrap, "inject-wrap", "", "the last path reads at the offset modulo this size: a fault for the proof to find")
	_ = fs.MarkHidden("inject-wrap") // it exists
}

// Strategies: with rcu the array's last reference is an outer map's.
func (b *Workload) Strategies() []string {
	return []string{results.StrategyRCU, results.StrategyImmediate}
}

// Check validates the parameters.
func (b *Workload) Check(strategy string) error {
	if err := workloads.CheckStrategy(b, strategy); err != nil {
		return err
	}
	if err := errors.Join(flagvalue.OneOf("pattern", b.Pattern, mapops.Patterns...), mapops.CheckPaths(b.Paths, paths), mapops.CheckSizes(b.Size, b.ValueSize)); err != nil {
		return err
	}
	if err := b.checkInjection(); err != nil {
		return err
	}
	switch {
	case b.ValueSize < 8:
		return fmt.Errorf("--value-size %s has no room for a stamp (at least 8)", &b.ValueSize)
	case b.Count < mapops.MinOperations || b.Count > 1<<40:
		return fmt.Errorf("--count must be from %d to 2^40", mapops.MinOperations)
	case b.Elements < 10 || b.Elements > 1<<20:
		return errors.New("--elements must be from 10 to 2^20")
	}
	return nil
}

func (b *Workload) entries() uint32 { return uint32(b.Size / b.ValueSize) }

// stride is from one element to the next, in bytes.
func (b *Workload) stride() uint64 { return mapops.Stride(uint64(b.ValueSize)) }

// MemoryBytes implements Workload.
func (b *Workload) MemoryBytes(string, int) uint64 {
	array := mapops.MapBytes(b.spec(), 1)
	// The page tables of mmap; one value for the other array; and copies of a
	// value, in the kernel and in user space, of which some wait for the
	// garbage collector.
	return array + array/512 + mapops.TimesBytes(9, b.stride()) + mapops.TracerBytes
}

// Setup checks that there is room. The array itself is part of what is
// measured.
func (b *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if err := b.Check(strategy); err != nil {
		return nil, err
	}
	if err := mapops.CheckMemory(b.MemoryBytes(strategy, 1)); err != nil {
		return nil, err
	}
	return &instance{cfg: b, strategy: strategy, mapName: mapops.UniqueName("mp_big")}, nil
}
