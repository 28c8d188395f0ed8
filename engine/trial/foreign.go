// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// foreign is what watching other programs' maps needs beside the probes. Its zero
// value watches a workload's own.
type foreign struct {
	inventory *probes.Inventory
	owners    *collect.Owners // nil: no owners are watched
	loading   time.Duration   // that the inventory's programs took
}

func isForeign(instance workloads.Instance) bool {
	_, ok := instance.(workloads.Foreign)
	return ok
}

// others prepares for an instance whose maps are other programs', and says so in cfg.
// When ctx is done before all is attached, nothing is watched.
func (m *Measurement) others(ctx context.Context, instance workloads.Instance, cfg *probes.Config) (foreign, error) {
	i, ok := instance.(workloads.Foreign)
	if !ok {
		return foreign{}, nil
	}
	i.SetOutput(m.env.Output())
	i.SetBecome(m.env.Become)
	filter := i.Filter()
	f, warnings, err := watchForeign(ctx, filter, m.Job.OwnedMaps, cfg)
	m.Warnings = append(m.Warnings, warnings...)
	if err == nil {
		f.owners.WatchLive(liveFilter(&filter), filter.PID != 0 || len(filter.Comms)+len(filter.Cgroups)+len(filter.OuterNames) > 0)
		out := m.env.Output()
		f.owners.WatchStuck(i.StuckAfter(), func(s *results.Stuck) { fmt.Fprintln(out, "mapprof: "+stuckText(s)) })
	}
	return f, err
}

// stuckText says of a death that it is pending for long.
func stuckText(s *results.Stuck) string {
	text := fmt.Sprintf("stuck: map %d %s", s.MapID, safetext.Name(s.MapName))
	if s.OuterID != 0 {
		text += fmt.Sprintf(" of outer map %d %s", s.OuterID, safetext.Name(s.OuterName))
	}
	text += fmt.Sprintf(" is in %s, %v after its last put", s.Phase, time.Duration(s.SeenNS-s.PutNS).Round(time.Millisecond))
	for _, p := range s.PinnedBy {
		text += "; sleepable program " + safetext.Name(p) + " uses its outer map"
	}
	if s.Worker != "" {
		text += "; freed by " + safetext.Text(s.Worker)
	}
	if s.GracePeriod == "" {
		return text + "; the kernel doesn't tell the state of its grace periods"
	}
	return text + "; " + safetext.Text(s.GracePeriod)
}

// watchForeign prepares for maps that are other programs', and says so in cfg. What
// can't be told of them is a warning. When ctx is done it fails with probes.ErrEnded, and
// so does the attaching.
func watchForeign(ctx context.Context, filter workloads.Filter, owned uint32, cfg *probes.Config) (f foreign, warnings []string, err error) {
	cfg.Ended = ctx.Done()
	callbacks, symbols, err := collect.KernelAddresses()
	if err != nil {
		return f, nil, err
	}
	if ctx.Err() != nil {
		return f, nil, probes.ErrEnded
	}
	cfg.Owners = &probes.Owners{Maps: owned, PID: filter.PID}
	if callbacks == [3]uint64{} {
		warnings = append(warnings, collect.NoAddresses()+": a map whose last two references are dropped at once counts as lost")
	}
	began := time.Now()
	f.inventory, err = probes.NewInventory(symbols)
	f.loading = time.Since(began)
	if err != nil {
		warnings = append(warnings, fmt.Sprintf("no program is named that holds maps: %v", err))
		f.inventory = nil
	}
	cfg.Owners.Inventory = f.inventory
	f.owners = collect.NewOwners(f.inventory, func(d *results.Death, inTree bool) bool { return wants(&filter, d, inTree) })
	return f, warnings, nil
}

// sparingly keeps mapprof's memory small while it records: it may run beside what it
// watches for days. The result ends that.
func sparingly(instance workloads.Instance) (ended func()) {
	if !isForeign(instance) {
		return func() {}
	}
	percent := debug.SetGCPercent(recordGCPercent)
	return func() { debug.SetGCPercent(percent) }
}

// recordGCPercent is how much garbage a recording may have, as a share of what is in
// use. It makes little: most is of its begin.
const recordGCPercent = 30

// tidy gives back what a step of a recording's begin took: the kernel's types, then its
// symbols, which would add up.
func (f *foreign) tidy() {
	if f.owners != nil {
		debug.FreeOSMemory()
	}
}

// exclude tells the probes which maps are mapprof's own.
func (f *foreign) exclude(p *probes.Probes) error {
	if f.owners == nil {
		return nil
	}
	own, err := p.ExcludeOwn(f.inventory)
	f.owners.SetOwn(own)
	return err
}

func (f *foreign) close() error {
	if f.inventory == nil {
		return nil
	}
	return f.inventory.Close()
}
