// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

import (
	"context"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/spf13/pflag"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Where frames can be redirected to.
const (
	toCPUMap     = "cpumap"
	toDevmap     = "devmap"
	toDevmapHash = "devmap-hash"
	toIfindex    = "ifindex"
)

var ends = []string{toCPUMap, toDevmap, toDevmapHash, toIfindex}

// Bounds on what is asked for. A poll of a device takes 64 frames at most
// (NAPI_POLL_WEIGHT), and a tracer keeps 4096 calls: a bulk of a cpumap is 8 frames.
const (
	maxFrames = 64
	maxBursts = 500
	maxCount  = 1000
)

func init() {
	workloads.Register(workloads.Description{
		Name:    "redirect",
		Summary: "redirects XDP frames, and lets the maps that say where to die while frames pass",
		New:     func() workloads.Workload { return new(Workload) },
	})
}

// Workload redirects bursts of frames, then lets maps die.
type Workload struct {
	To                    string
	Frames, Bursts, Count uint32
}

// AddFlags registers the parameters.
func (w *Workload) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&w.To, "to", toDevmap, "what says where frames go: cpumap|devmap|devmap-hash, or ifindex: the program itself, without a map")
	flagvalue.SetKnown(fs, "to", ends...)
	fs.Uint32Var(&w.Frames, "frames", maxFrames, "frames of a burst, after which the kernel flushes")
	fs.Uint32Var(&w.Bursts, "bursts", 50, "bursts that are timed, and as many whose bulks are counted; the next is sent when all of one have arrived")
	fs.Uint32Var(&w.Count, "count", 20, "maps that die, one after the other, each after a burst (ifindex: none)")
}

// Strategies lists the only one: the kernel chooses.
func (w *Workload) Strategies() []string { return []string{results.StrategyAny} }

// Check validates the parameters.
func (w *Workload) Check(strategy string) error {
	if err := errors.Join(workloads.CheckStrategy(w, strategy), flagvalue.OneOf("to", w.To, ends...)); err != nil {
		return err
	}
	for _, b := range []struct {
		flag       string
		value, max uint32
	}{{"frames", w.Frames, maxFrames}, {"bursts", w.Bursts, maxBursts}, {"count", w.Count, maxCount}} {
		if b.value < 1 || b.value > b.max {
			return fmt.Errorf("--%s must be from 1 to %d", b.flag, b.max)
		}
	}
	return nil
}

// CheckTarget refuses a kernel without a program at a CPU, which counts what arrives.
func (w *Workload) CheckTarget(_ string, t workloads.Target) error {
	if t.Before(5, 9) {
		return errors.New("it can't run a program on frames that were redirected to a CPU, nor link one to a device (5.9 can)")
	}
	return nil
}

// Modules implements workloads.Modular: the devices.
func (w *Workload) Modules() []string { return []string{vethKind} }

// Deaths implements Counted.
func (w *Workload) Deaths() uint64 { return uint64(w.maps()) }

// maps is how many die.
func (w *Workload) maps() uint32 {
	if w.To == toIfindex {
		return 0
	}
	return w.Count
}

// mapTypes are the types of the maps.
var mapTypes = map[string]ebpf.MapType{toCPUMap: ebpf.CPUMap, toDevmap: ebpf.DevMap, toDevmapHash: ebpf.DevMapHash}

// Bounds on memory: what a map takes with its entry's queue, thread or bulk queues, and
// frames that are under way, a page each, with the devices.
const (
	mapBytes     = 64 << 10
	trafficBytes = 16 << 20
)

// MemoryBytes implements Workload: maps may be freed much later than they die.
func (w *Workload) MemoryBytes(string, int) uint64 {
	return uint64(w.maps()+2)*mapBytes + trafficBytes + mapops.TracerBytes
}

// Setup makes the devices and loads the programs.
func (w *Workload) Setup(_ context.Context, strategy string) (workloads.Instance, error) {
	if _, err := mapops.Ready(w, strategy); err != nil {
		return nil, err
	}
	return newInstance(w)
}

func (w *Workload) byDevice() bool { return w.To != toCPUMap }
