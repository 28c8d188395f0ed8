// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/hold"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// innerName begins the names of churn's inner maps: those that are watched.
const innerName = "mp_inner"

const (
	outerHashNoPrealloc = "hash-of-maps-noprealloc"

	innerDevmap = "devmap" // what strategy sync takes where nothing is said

	opReplace = "replace"
	opDelete  = "delete"

	defaultCount = 300
)

var (
	outers     = []string{mapops.OuterArray, mapops.OuterHash, outerHashNoPrealloc}
	inners     = mapops.KindNames(func(mapops.Kind) bool { return true })
	waiting    = mapops.KindNames(func(k mapops.Kind) bool { return k.MapFreeWaits })
	filling    = mapops.KindNames(func(k mapops.Kind) bool { return k.Fills })
	operations = []string{opReplace, opDelete}
)

func init() {
	workloads.Register(workloads.Description{
		Name:    "churn",
		Summary: "replaces (or deletes and inserts) the inner maps of an outer map",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload takes inner maps out of an outer map, which drops their last
// reference. With strategy immediate there is no outer map: each operation
// creates a map and closes it.
type Workload struct {
	Outer          string
	Inner          string
	InnerKeySize   flagvalue.Optional // left out: what the kind has
	InnerEntries   uint32
	InnerValueSize uint32
	InnerFill      flagvalue.Optional // elements of each inner map
	Slots          uint32
	Fill           flagvalue.Optional // slots that hold a map; left out: all
	Op             string
	Count          uint64
	Duration       time.Duration
	Rate           float64
	Readers        int
	Batch          uint32
	// What gate --self-test plants, see addInjectFlags.
	InjectDelay, InjectReader string
	HoldReader                string // see checkHold; empty: none

	innerSet bool
	onSetup  func(done, total uint64)
	fs       *pflag.FlagSet
}

// AddFlags registers the parameters.
func (c *Workload) AddFlags(fs *pflag.FlagSet) {
	c.fs = fs
	fs.StringVar(&c.Outer, "outer", mapops.OuterArray, "outer map: "+strings.Join(outers, ", "))
	flagvalue.SetKnown(fs, "outer", outers...)
	fs.StringVar(&c.Inner, "inner", mapops.MapArray, "inner map: any type by the kernel's name for it, such as hash, lru-hash, percpu-array, lpm-trie, devmap, ringbuf (--inner help lists all), or hash-noprealloc, percpu-hash-noprealloc; the kernel says which it refuses (strategy sync: one whose map_free waits, by default devmap)")
	flagvalue.SetKnown(fs, "inner", inners...)
	fs.Var(&c.InnerKeySize, "inner-key-size", "key size of an inner map, bytes (default 4; lpm-trie 8)")
	fs.Uint32Var(&c.InnerEntries, "inner-entries", 16, "max_entries of an inner map (ringbufs: 4096 bytes; cpumap and perf-event-array: 1; a local storage has none)")
	fs.Uint32Var(&c.InnerValueSize, "inner-value-size", 8, "value size of an inner map, bytes (stack-trace 64, maps of file descriptors 4; a devmap's is always 4; ringbufs and arena have none)")
	fs.Var(&c.InnerFill, "inner-fill", "elements put into each inner map before it goes into the outer one (default none): of hashes, LPM tries, queues, stacks and bloom filters")
	fs.Uint32Var(&c.Slots, "slots", 1, "slots of the outer map")
	fs.Var(&c.Fill, "fill", "slots that hold an inner map, taken in turn (default: all)")
	fs.StringVar(&c.Op, "op", opReplace, "one operation: replace, or delete (a delete and an insert)")
	flagvalue.SetKnown(fs, "op", operations...)
	fs.Uint64Var(&c.Count, "count", 0, "stop after this many operations (default 300 without --duration)")
	fs.DurationVar(&c.Duration, "duration", 0, "stop after this long")
	fs.Float64Var(&c.Rate, "rate", 0, "open loop: start this many operations a second and count latency from the intended start; 0: closed loop")
	fs.IntVar(&c.Readers, "readers", 0, "BPF programs that look up through the outer map meanwhile")
	fs.Uint32Var(&c.Batch, "batch", 1, "inner maps that one update replaces (BPF_MAP_UPDATE_BATCH); at most --fill")
	fs.StringVar(&c.HoldReader, "hold-reader", "", "calibrate: let every death begin inside a reader that then stays this long: tasks-trace=200ms or rcu=20ms; several take turns, and 0s is none: rcu=0s,20ms")
	c.addInjectFlags(fs)
}

// Strategies lists all four.
func (c *Workload) Strategies() []string {
	return []string{results.StrategyRCU, results.StrategyTasksTrace, results.StrategyImmediate, results.StrategySync}
}

// Check validates the parameters for a strategy.
func (c *Workload) Check(strategy string) error {
	if err := workloads.CheckStrategy(c, strategy); err != nil {
		return err
	}
	c.innerSet = c.innerSet || c.fs != nil && c.fs.Changed("inner")
	err := errors.Join(
		flagvalue.OneOf("outer", c.Outer, outers...),
		flagvalue.OneOf("inner", c.Inner, inners...),
		flagvalue.OneOf("op", c.Op, operations...))
	if err != nil {
		return err
	}
	if _, _, err := c.injected(); err != nil {
		return err
	}
	if err := c.checkHold(strategy); err != nil {
		return err
	}
	switch {
	case c.Count == 0 && c.Duration == 0 && c.fs != nil && c.fs.Changed("count"):
		return fmt.Errorf("--count 0 needs --duration (leave it out for %d operations)", defaultCount)
	case c.Slots == 0:
		return errors.New("--slots must be at least 1")
	case c.filled() == 0 || c.filled() > c.Slots:
		return fmt.Errorf("--fill must be from 1 to --slots (%d)", c.Slots)
	case c.Batch == 0 || c.Batch > c.filled():
		return fmt.Errorf("--batch must be from 1 to --%s (%d)", map[bool]string{true: "fill", false: "slots"}[c.Fill.Given], c.filled())
	case c.Batch > 1 && c.Op == opDelete && c.Outer == mapops.OuterArray:
		return errors.New("--batch with --op delete needs --outer hash-of-maps (the kernel has no batched delete for arrays of maps)")
	case c.Rate != 0 && !(c.Rate >= 1e-3 && c.Rate <= 1e9):
		return errors.New("--rate must be from 0.001 to 1e9 operations a second, or 0 for as many as there can be")
	case c.Readers < 0 || c.Readers > 1024:
		return errors.New("--readers must be from 0 to 1024")
	case c.Duration < 0:
		return errors.New("--duration must not be negative")
	}
	// Defaults that depend on other flags are set here, so that the result has
	// them among its parameters.
	if c.Count == 0 && c.Duration == 0 {
		c.Count = defaultCount
	}
	return c.checkInner(strategy)
}

// Setup makes the outer map and fills its slots.
func (c *Workload) Setup(ctx context.Context, strategy string) (workloads.Instance, error) {
	if _, err := mapops.Ready(c, strategy); err != nil {
		return nil, err
	}
	return newInstance(ctx, c, strategy)
}

// Deaths implements Counted.
func (c *Workload) Deaths() uint64 {
	high, deaths := bits.Mul64(c.Count, uint64(c.Batch))
	if high != 0 {
		return math.MaxUint64
	}
	return deaths
}

// AtLeast implements Timed.
func (c *Workload) AtLeast() time.Duration {
	_, holds, _ := hold.Parse(c.HoldReader)
	each := 0.0
	for _, length := range holds {
		each += length.Seconds() / float64(len(holds))
	}
	if c.Rate > 0 {
		each = max(each, 1/c.Rate)
	}
	took := time.Duration(math.MaxInt64)
	if seconds := float64(c.Count) * each; c.Count > 0 && seconds < took.Seconds() {
		took = time.Duration(seconds * float64(time.Second))
	}
	if c.Duration > 0 {
		took = min(took, c.Duration)
	}
	return took
}
