// SPDX-License-Identifier: Apache-2.0

//go:build linux

package special

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// field is a kind of special field, and the first kernel that has it.
type field struct {
	name         string
	in           string   // begins the names of its maps
	fill         []string // programs: the first that a kernel takes; none: bpf(2) fills
	major, minor int
	// bytes is what the kernel allocates beside an element that is filled, at most.
	bytes uint64
	// cancelled: the kernel cancels what is in it when the map's last user lets go.
	cancelled bool
	// tag is the type tag of a pointer in the value.
	tag string
	// local: what it holds has a type of the program's own.
	local bool
}

const fieldList = "list"

var fields = []field{
	{name: "none", in: "plain", fill: []string{"fill_plain"}},
	{name: "spin-lock", in: "lock", major: 5, minor: 1},
	{name: "timer", in: "timer", fill: []string{"fill_timer"}, major: 5, minor: 15, bytes: 256, cancelled: true},
	{name: "workqueue", in: "work", fill: []string{"fill_work", "fill_work_impl"}, major: 6, minor: 10, bytes: 256, cancelled: true},
	{name: "kptr", in: "task", fill: []string{"fill_task"}, major: 6, minor: 4, tag: "kptr_untrusted"},
	// A mask has a bit for each CPU that may be.
	{name: "kptr-ref", in: "mask", fill: []string{"fill_mask"}, major: 6, minor: 4, bytes: 2 << 10, tag: "kptr"},
	{name: fieldList, in: "plain", major: 6, minor: 2, bytes: 96, local: true},
	{name: "local-kptr", in: "plain", major: 6, minor: 4, bytes: 96, local: true},
}

func fieldNames() (names []string) {
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}

// mapTypes are those that --map takes. Not every kernel takes each with every field.
var mapTypes = map[string]ebpf.MapType{"array": ebpf.Array, "percpu-array": ebpf.PerCPUArray, "hash": ebpf.Hash, "lru-hash": ebpf.LRUHash}

var mapNames = []string{"array", "percpu-array", "hash", "lru-hash"}

// Bounds on what is asked for.
const (
	maxEntries = 1 << 20
	maxCount   = 1 << 16
)

func init() {
	workloads.Register(workloads.Description{
		Name:    "special",
		Summary: "lets maps die whose values have timers, work queues, kptrs, lists or locks",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload makes maps with a special field, fills them, and closes them.
type Workload struct {
	Field   string
	Map     string
	Entries uint32
	Filled  uint32 // percent
	Count   uint32
	AsInner bool
}

// AddFlags registers the parameters.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&w.Field, "field", "timer", "field in each value: "+strings.Join(fieldNames(), ", "))
	fs.StringVar(&w.Map, "map", "array", "type of the maps: "+strings.Join(mapNames, ", "))
	flagvalue.SetKnown(fs, "field", fieldNames()...)
	flagvalue.SetKnown(fs, "map", mapNames...)
	fs.Uint32Var(&w.Entries, "entries", 1024, "max_entries of each map")
	fs.Uint32Var(&w.Filled, "filled", 100, "percent of the entries that are filled (of a percpu-array on one CPU)")
	fs.Uint32Var(&w.Count, "count", 20, "maps that die, one after the other")
	fs.BoolVar(&w.AsInner, "as-inner", false, "let each die in an outer map: the last user lets go before it is deleted there, which drops the last reference")
	_ = fs.SetAnnotation("as-inner", workloads.OnlyGiven, nil) // it exists
}

// Strategies lists the only one: the kernel chooses.
func (w *Workload) Strategies() []string { return []string{results.StrategyAny} }

// Check validates the parameters.
func (w *Workload) Check(strategy string) error {
	if err := errors.Join(workloads.CheckStrategy(w, strategy), flagvalue.OneOf("field", w.Field, fieldNames()...), flagvalue.OneOf("map", w.Map, mapNames...)); err != nil {
		return err
	}
	switch {
	case w.Entries < 1 || w.Entries > maxEntries:
		return fmt.Errorf("--entries must be from 1 to %d", maxEntries)
	case w.Filled > 100:
		return errors.New("--filled must be from 0 to 100")
	case w.Count < 1 || w.Count > maxCount:
		return fmt.Errorf("--count must be from 1 to %d", maxCount)
	}
	return nil
}

// CheckTarget refuses a field that the target's kernel doesn't have.
func (w *Workload) CheckTarget(_ string, t workloads.Target) error {
	f := w.field()
	if w.AsInner && f.name == "spin-lock" && t.Before(6, 2) {
		return errors.New("--as-inner: it takes no inner map with a spin lock (b7ff97925b55, 6.2)")
	}
	if t.Before(f.major, f.minor) {
		return fmt.Errorf("--field %s: it has none (%d.%d does)", f.name, f.major, f.minor)
	}
	return nil
}

func (w *Workload) field() field {
	return fields[slices.IndexFunc(fields, func(f field) bool { return f.name == w.Field })]
}

// Deaths implements Counted.
func (w *Workload) Deaths() uint64 { return uint64(w.Count) }

// elements is how many are filled, one at least where any are.
func (w *Workload) elements() uint32 {
	return uint32((uint64(w.Entries)*uint64(w.Filled) + 99) / 100)
}

// limboMaps is how many are in memory at once: each waits for a grace period, and the
// next one's update does, too.
const limboMaps = 64

// MemoryBytes implements Workload.
func (w *Workload) MemoryBytes(_ string, cpus int) uint64 {
	spec := &ebpf.MapSpec{Type: mapTypes[w.Map], KeySize: 4, ValueSize: 24, MaxEntries: w.Entries}
	one := mapops.MapBytes(spec, cpus) + mapops.TimesBytes(uint64(w.elements()), w.field().bytes)
	return mapops.TimesBytes(uint64(min(w.Count, limboMaps))+3, one) + mapops.TracerBytes
}

// Setup loads the program that fills maps.
func (w *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if _, err := mapops.Ready(w, strategy); err != nil {
		return nil, err
	}
	return newInstance(w)
}
