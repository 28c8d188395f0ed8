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

var bigPaths = []string{pathSyscall, pathHelper, pathInlined, pathBatch, pathMmap}

func init() {
	register(Description{
		Name:    "bigarray",
		Summary: "creates an array past 4 GiB, proves that every path reaches the same elements, and frees it",
		New:     func() Workload { return new(BigArray) },
	})
}

// BigArray takes one large array through its life: create, first touch,
// lookups and updates by every path, and the free; with a proof that an index
// leads to its own element by every path.
type BigArray struct {
	Size      Size
	ValueSize Size
	Paths     Names
	Pattern   string
	Count     uint64
	Elements  int
	// InjectWrap plants a fault: the last path reads as if the offset of an
	// element had no more than this many bytes, as it did with 32 bits.
	InjectWrap string
}

// AddFlags registers the parameters.
func (b *BigArray) AddFlags(fs *pflag.FlagSet) {
	b.Size, b.ValueSize = 5<<30, 8
	fs.Var(&b.Size, "size", "bytes of all values together; the array has this by --value-size elements")
	fs.Var(&b.ValueSize, "value-size", "bytes of a value, from 8")
	b.Paths = slices.Clone(bigPaths)
	fs.Var(&b.Paths, "path", "ways to an element: "+strings.Join(bigPaths, ","))
	fs.StringVar(&b.Pattern, "pattern", patternRandom, "which elements are timed: "+strings.Join(patterns, "|"))
	fs.Uint64Var(&b.Count, "count", 100_000, "timed lookups and updates by each path")
	fs.IntVar(&b.Elements, "elements", 2000, "about how many elements the proof of addressing stamps and reads, by every pair of paths")
	fs.StringVar(&b.InjectWrap, "inject-wrap", "", "the last path reads at the offset modulo this size: a fault for the proof to find")
	_ = fs.MarkHidden("inject-wrap") // it exists
}

// Strategies: with rcu the array's last reference is an outer map's.
func (b *BigArray) Strategies() []string { return []string{StrategyRCU, StrategyImmediate} }

// Check validates the parameters.
func (b *BigArray) Check(strategy string) error {
	if err := CheckStrategy(b, strategy); err != nil {
		return err
	}
	if err := errors.Join(oneOf("pattern", b.Pattern, patterns), checkPaths(b.Paths, bigPaths), checkSizes(b.Size, b.ValueSize)); err != nil {
		return err
	}
	if err := b.checkInjection(); err != nil {
		return err
	}
	switch {
	case b.ValueSize < 8:
		return fmt.Errorf("--value-size %s has no room for a stamp (at least 8)", &b.ValueSize)
	case b.Count < minLookups || b.Count > 1<<40:
		return fmt.Errorf("--count must be from %d to 2^40", minLookups)
	case b.Elements < 10 || b.Elements > 1<<20:
		return errors.New("--elements must be from 10 to 2^20")
	}
	return nil
}

func (b *BigArray) entries() uint32 { return uint32(b.Size / b.ValueSize) }

// stride is from one element to the next, in bytes.
func (b *BigArray) stride() uint64 { return roundUp8(uint64(b.ValueSize)) }

// MemoryBytes is about what the array takes: what a target must have free.
func (b *BigArray) MemoryBytes(int) uint64 {
	values := uint64(b.entries()) * b.stride()
	// The values' page tables, of the kernel's mapping and of ours; a value
	// each for the other array and in user space.
	return values + values/256 + 3*b.stride()
}

// Setup checks that there is room. The array itself is part of what is
// measured.
func (b *BigArray) Setup(_ context.Context, strategy string) (Instance, error) {
	if err := b.Check(strategy); err != nil {
		return nil, err
	}
	if err := checkTargetMemory(b.MemoryBytes(0)); err != nil {
		return nil, err
	}
	return &bigInstance{cfg: b, strategy: strategy, mapName: uniqueName("mp_big")}, nil
}
