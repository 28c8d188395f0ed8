// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// The kernel guards an array that a task without CAP_PERFMON creates against reading past
// its end in speculation: its entries are rounded up to a power of two, and every inlined
// lookup masks its index (b2157399cc98; 9d5564ddcf2a for inner maps). Since 2c78ee898d8f
// (5.8) such a task may load programs, with CAP_BPF.

// unprivilegedSuffix ends the paths to maps that CAP_BPF alone created.
const unprivilegedSuffix = "-unprivileged"

// checkUnprivileged refuses it for maps that have no mask.
func (l *Workload) checkUnprivileged() error {
	if l.Unprivileged && l.Map != mapops.MapArray && !l.nested() {
		return fmt.Errorf("--unprivileged needs --map %s, %s or %s (no index of another is masked on every kernel)", mapops.MapArray, mapops.OuterArray, mapops.OuterHash)
	}
	return nil
}

// measuredMaps are made of either kind to see how much memory one takes.
const measuredMaps = 3

// unprivilegedMaps is how many more such maps there are, counted as privileged ones:
// rounded up they are at most twice as large.
func (l *Workload) unprivilegedMaps(maps uint64) uint64 {
	if !l.Unprivileged {
		return 0
	}
	return 2*maps + (1+2)*measuredMaps
}

// keepCode keeps how long the program is that looks up, beside its twin's.
func (i *instance) keepCode(p *mapops.ProbedPath) error {
	if i.unprivileged == nil || p.Loops == nil {
		return nil
	}
	instructions, jited, err := p.Loops.Code()
	if err != nil {
		return err
	}
	name := "code." + p.Path
	i.result.Metrics[name] = workloads.Metric{Values: []float64{float64(instructions)}, Unit: "instructions", How: "BPF instructions of the loop that looks up, as the kernel rewrote them; one of them is the lookup, or what was inlined for it"}
	if jited > 0 {
		i.result.Metrics[name+".jited"] = workloads.Metric{Values: []float64{float64(jited)}, Unit: "bytes", How: "the same as machine code"}
	}
	twin, ok := i.result.Metrics["code."+p.Path[:max(0, len(p.Path)-len(unprivilegedSuffix))]]
	if ok {
		i.result.Findings = append(i.result.Findings, fmt.Sprintf("%s: %.0f BPF instructions more than where the map's creator had CAP_PERFMON", p.Path, float64(instructions)-twin.Values[0]))
	}
	return nil
}

// slabBytes is the largest area that a map has from the slab allocator, on most kernels.
const slabBytes = 32 << 10

// measureMemory keeps what one map takes that either creates.
func (i *instance) measureMemory() error {
	spec := i.cfg.elementSpec(i.cpus)
	if uint64(spec.MaxEntries)*mapops.Stride(uint64(spec.ValueSize)) <= slabBytes {
		return nil
	}
	var maps []*ebpf.Map
	var errs []error
	keep := func(suffix string) error {
		var grown []float64
		for range measuredMaps {
			before, err := mapops.VmallocUsed()
			if err != nil {
				return err
			}
			m, err := mapops.NewMap(spec)
			if err != nil {
				return err
			}
			maps = append(maps, m)
			after, err := mapops.VmallocUsed()
			if err != nil {
				return err
			}
			grown = append(grown, float64(after)-float64(before))
		}
		i.result.Metrics["memory.map"+suffix] = workloads.Metric{Values: grown, Unit: "bytes", Difference: true, How: fmt.Sprintf(
			"VmallocUsed after a map of %d entries was created, less before", spec.MaxEntries)}
		return nil
	}
	errs = append(errs, keep(""), mapops.OnlyCapBPF(func() error { return keep(unprivilegedSuffix) }))
	for _, m := range maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
