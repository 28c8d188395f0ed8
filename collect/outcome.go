// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"maps"
	"slices"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

// Outcome is what one trial gave beside the deaths and waits that a Sink took.
type Outcome struct {
	// Expedited is how many update waits were in synchronize_rcu_expedited().
	Expedited uint64
	// GracePeriods are the system's first results.MaxGracePeriods, in the order of
	// their ends; empty where their functions can't be seen.
	GracePeriods []results.GracePeriod
	// Pending are the deaths still under way: their spans are open. They have the times
	// that they have reached.
	Pending []results.Death
	// AtNS is the target's ktime to which Pending were watched.
	AtNS int64

	// Final says that it was taken at the end. Puts were counted by themselves then;
	// before, while maps are still put, they are the sum of the others.
	Final                       bool
	Puts, Freed, InFlight, Lost uint64
	// PutsUnseen are those of the freed that begin where they were enqueued: two
	// puts raced.
	PutsUnseen uint64
	Paths      map[string]uint64
	Excluded   map[string]uint64
	Loss       map[string]uint64 // every kind, zero ones too
	Stacks     map[string][]results.Frame
	// Live are the maps that are alive, where owners are watched; nil: not known.
	Live *inventory.Live
	// Stuck are deaths that were pending for long, and MoreStuck how many more there
	// were.
	Stuck     []results.Stuck
	MoreStuck uint64
}

// sum is an outcome of what the programs counted and what was read; every kind of
// loss is there.
func (c *Collector) sum(counters probes.Counters, atNS int64, last bool) *Outcome {
	d := c.decoder
	o := &Outcome{
		AtNS: atNS, Final: last, Puts: counters.Puts, Freed: d.deaths, Expedited: c.expedited, GracePeriods: c.gps,
		PutsUnseen: d.putsUnseen, Paths: maps.Clone(d.counts), Excluded: counters.Excluded, Loss: counters.Missed, Stacks: c.stacks.stacks,
	}
	if !last {
		// What is there of the grace periods stays as it is.
		o.GracePeriods, o.Stacks = slices.Clip(c.gps), maps.Clone(c.stacks.stacks)
	}
	maps.Copy(o.Loss, counters.LostDeaths)
	o.Loss["undecodable"], o.Loss["time_went_back"], o.Loss["callback_unseen"] = d.undecodable, d.timeWentBack, d.callbacksUnseen
	o.Lost = sum(counters.LostDeaths) + d.timeWentBack + d.undecodable
	return o
}

// snapshotTries is how often a snapshot is taken anew while deaths are lost.
const snapshotTries = 20

// snapshot reads the counters and the deaths under way as of one moment, so
// that none is in both: one that is lost meanwhile would be. One that is lost
// later was under way then.
func snapshot(counters func() (probes.Counters, error), inFlight func() ([]probes.Pending, error)) (probes.Counters, []probes.Pending, error) {
	before, err := counters()
	if err != nil {
		return probes.Counters{}, nil, err
	}
	for try := 1; ; try++ {
		pending, err := inFlight()
		if err != nil {
			return probes.Counters{}, nil, err
		}
		after, err := counters()
		if err != nil {
			return probes.Counters{}, nil, err
		}
		if sum(after.LostDeaths) == sum(before.LostDeaths) || try == snapshotTries {
			return after, pending, nil
		}
		before = after
	}
}

func sum(m map[string]uint64) uint64 {
	var n uint64
	for _, v := range m {
		n += v
	}
	return n
}
