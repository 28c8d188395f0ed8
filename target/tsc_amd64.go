// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"math"
	"sync"
	"time"
)

// rdtsc reads this CPU's time-stamp counter.
func rdtsc() uint64

// tscKHz is how fast the time-stamp counter of this machine runs, measured once
// against its clock: within 0.01 %, where a kernel is content with 1 %. 0: unknown.
var tscKHz = sync.OnceValue(func() uint64 {
	const apart = 10 * time.Millisecond
	t0, c0 := readTSC()
	time.Sleep(apart)
	t1, c1 := readTSC()
	if c1 <= c0 || t1-t0 < apart/2 {
		return 0
	}
	return uint64(math.Round(float64(c1-c0) / float64(t1-t0) * 1e6))
})

// readTSC reads clock and counter at the same moment: of several tries the one in
// which the least time passed.
func readTSC() (at time.Duration, counter uint64) {
	best := uint64(math.MaxUint64)
	begin := time.Now()
	for range 20 {
		before := rdtsc()
		t := time.Since(begin)
		after := rdtsc()
		if took := after - before; after >= before && took < best {
			best, at, counter = took, t, before+took/2
		}
	}
	return begin.Sub(tscEpoch) + at, counter
}

var tscEpoch = time.Now()
