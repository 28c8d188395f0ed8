// SPDX-License-Identifier: Apache-2.0

//go:build linux

package holders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Bounds on what is asked for.
const (
	maxCount      = 1000
	maxReferences = 500_000
	maxAfter      = time.Minute
)

func init() {
	workloads.Register(workloads.Description{
		Name:    "holders",
		Summary: "lets go of maps that something else holds for a known time",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload makes maps, gives each a holder, closes its own descriptor, and has the
// holder let go.
type Workload struct {
	By         flagvalue.Names
	After      time.Duration
	Count      uint32
	References uint32
}

// AddFlags registers the parameters.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	w.By = wayNames()
	fs.Var(&w.By, "by", "who holds the maps, one after the other: "+strings.Join(wayNames(), ", "))
	flagvalue.SetKnown(fs, "by", wayNames()...)
	fs.DurationVar(&w.After, "after", 20*time.Millisecond, "how long the holder holds on after the workload has let go")
	fs.Uint32Var(&w.Count, "count", 5, "maps for each holder")
	fs.Uint32Var(&w.References, "references", 0, "references more that the workload takes to the first map, and drops")
}

// Strategies lists the only one: the kernel chooses.
func (w *Workload) Strategies() []string { return []string{results.StrategyAny} }

// Check validates the parameters.
func (w *Workload) Check(strategy string) error {
	if err := workloads.CheckStrategy(w, strategy); err != nil {
		return err
	}
	for n, by := range w.By {
		if err := flagvalue.OneOf("by", by, wayNames()...); err != nil {
			return err
		}
		if slices.Contains(w.By[:n], by) {
			return fmt.Errorf("--by names %s twice", by)
		}
	}
	switch {
	case w.After < time.Millisecond || w.After > maxAfter:
		return fmt.Errorf("--after must be from 1ms to %v", maxAfter)
	case w.Count < 1 || w.Count > maxCount:
		return fmt.Errorf("--count must be from 1 to %d", maxCount)
	case w.References > maxReferences:
		return fmt.Errorf("--references must be from 0 to %d", maxReferences)
	}
	return nil
}

// AtLeast implements Timed.
func (w *Workload) AtLeast() time.Duration {
	return time.Duration(w.Deaths()) * w.After
}

// Deaths implements Counted.
func (w *Workload) Deaths() uint64 { return uint64(len(w.By)) * uint64(w.Count) }

const (
	// limboMaps is how many are in memory at once, the templates of outer maps included.
	limboMaps = 64
	// fileBytes is what an open file takes, and what is kept of it in user space.
	fileBytes = 2048
)

// MemoryBytes implements Workload.
func (w *Workload) MemoryBytes(_ string, cpus int) uint64 {
	return limboMaps*mapops.MapBytes(mapSpec("", 0), cpus) + uint64(w.References)*fileBytes + mapops.TracerBytes
}

// mapSpec is a map that dies.
func mapSpec(name string, flags uint32) *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 16, Flags: flags}
}

// Setup finds out nothing yet: what a kernel refuses is told by Run.
func (w *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if _, err := mapops.Ready(w, strategy); err != nil {
		return nil, err
	}
	i := &instance{cfg: w, prefix: mapops.UniqueName("mp_held"), why: errors.New("nobody tells it"), record: func(int64) {}}
	return i, nil
}
