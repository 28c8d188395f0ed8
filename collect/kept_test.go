// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"
	"time"

	"github.com/mapprof/mapprof/results"
)

// Kept is a Sink that keeps everything.
type Kept struct {
	Deaths []results.Death
	Waits  []Wait
	Sweeps []*Outcome
	before []int // deaths before each
}

func (k *Kept) Death(d *results.Death) error { k.Deaths = append(k.Deaths, *d); return nil }

func (k *Kept) Wait(w Wait) error { k.Waits = append(k.Waits, w); return nil }

func (k *Kept) Sweep(o *Outcome) error {
	k.Sweeps, k.before = append(k.Sweeps, o), append(k.before, len(k.Deaths))
	return nil
}

// Check holds each sweep against all deaths: what was put so long before it, and has
// ended, had been given by then or was pending, and not both. Where sweeps were asked
// for there were many, and some had deaths pending.
func (k *Kept) Check(asked bool, before time.Duration) error {
	type key struct {
		put int64
		id  uint32
	}
	pending := 0
	for i, o := range k.Sweeps {
		under := map[key]bool{}
		for _, d := range o.Pending {
			under[key{d.PutNS, d.MapID}] = true
		}
		pending += len(under)
		for _, d := range k.Deaths[:k.before[i]] {
			if under[key{d.PutNS, d.MapID}] {
				return fmt.Errorf("sweep %d of %d: map %d has ended and is pending", i, len(k.Sweeps), d.MapID)
			}
		}
		for _, d := range k.Deaths[k.before[i]:] {
			if d.PutNS < o.AtNS-before.Nanoseconds() && !under[key{d.PutNS, d.MapID}] {
				return fmt.Errorf("sweep %d of %d: map %d, put %d ns before it, is unknown to it", i, len(k.Sweeps), d.MapID, o.AtNS-d.PutNS)
			}
		}
		if o.Freed != uint64(k.before[i]) || o.Puts != o.Freed+o.InFlight+o.Lost {
			return fmt.Errorf("sweep %d of %d: %d freed of %d, %d puts", i, len(k.Sweeps), o.Freed, k.before[i], o.Puts)
		}
	}
	if asked && (len(k.Sweeps) < 10 || pending == 0) || !k.Sweeps[len(k.Sweeps)-1].Final {
		return fmt.Errorf("%d sweeps with %d deaths pending in all", len(k.Sweeps), pending)
	}
	return nil
}
