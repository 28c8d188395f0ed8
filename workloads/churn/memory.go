// SPDX-License-Identifier: Apache-2.0

//go:build linux

package churn

import (
	"math"
	"slices"
	"time"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/hold"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Bounds on what is in limbo, well above what was measured on 2 emulated CPUs, 5.10
// to 7.2. Closed loops had up to 18 maps in limbo with a grace period, 632 without
// one, and all 300 with sync on 7.2, whose updates wait for 0.1 ms; the longest
// limbo was 1 s (a preempt-rt kernel, tasks-trace).
const (
	longestLimbo     = 2 * time.Second
	mostClosedLoop   = 16384    // operations whose maps are in limbo at once
	mostCreated      = 100_000  // maps that one thread creates meanwhile
	mostCreatedBytes = 2 << 30  // of these
	openMapBytes     = 2 << 10  // a map's file, descriptor and Go object while it is open
	perHeld          = 32       // what is kept in user space of an operation with a reader
	mostPerSecond    = 50_000.0 // operations of one thread that waits for nothing
	mostWaited       = 20_000.0 // of one that waits for a grace period, expedited
)

// MemoryBytes implements Workload: the outer map, the inner maps in its slots,
// those made for the next operation, and those in limbo.
func (c *Workload) MemoryBytes(strategy string, cpus int) uint64 {
	inner, batch := c.innerBytes(cpus), uint64(c.Batch)
	total := mapops.TimesBytes(c.inLimbo(strategy, inner), inner) +
		mapops.TimesBytes(batch, inner+openMapBytes) +
		uint64(c.Readers)*mapops.ThreadBytes
	if c.HoldReader != "" {
		total += mapops.TimesBytes(c.operations(strategy), perHeld)
	}
	if strategy != results.StrategyImmediate {
		total += mapops.MapBytes(c.outerSpec(), cpus) + mapops.TimesBytes(uint64(c.filled())+1, inner)
	}
	return total
}

// operations is how many there are at most.
func (c *Workload) operations(strategy string) uint64 {
	most := uint64(math.MaxUint32)
	if c.Count > 0 {
		most = c.Count
	}
	if c.Duration > 0 {
		rate := mostWaited
		if strategy == results.StrategyImmediate {
			rate = mostPerSecond
		}
		if c.Rate > 0 {
			rate = min(rate, c.Rate)
		}
		if n := c.Duration.Seconds()*rate + 1; n < float64(most) {
			most = uint64(n)
		}
	}
	return most
}

// inLimbo is how many inner maps of that size are in limbo at most: as many as die
// while one of them is. An open loop that can't keep up is a closed one.
func (c *Workload) inLimbo(strategy string, inner uint64) uint64 {
	batch := uint64(c.Batch)
	most := min(c.operations(strategy), mostClosedLoop)
	if c.Rate > 0 {
		_, holds, _ := hold.Parse(c.HoldReader)
		limbo := longestLimbo
		if len(holds) > 0 {
			limbo += slices.Max(holds)
		}
		most = min(most, uint64(c.Rate*limbo.Seconds())+1)
	}
	return min(most*batch, max(4*batch, min(mostCreated, mostCreatedBytes/inner)))
}
