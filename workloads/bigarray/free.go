// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"fmt"
	"math"
	"time"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// free drops the last reference and waits for the memory.
func (i *instance) free() error {
	if err := i.unmapMemory(); err != nil {
		return err
	}
	var f freeing
	calls, err := i.traced(map[string][]string{
		"free.array_map_free": {"array_map_free"},
		"free.vfree":          {"vfree"},
	}, func() (err error) { f, err = i.dropAndWait(); return err })
	if err != nil {
		return err
	}
	free := i.keepCall("free.array_map_free", calls, workloads.Call{BeginNS: f.droppingNS, EndNS: math.MaxInt64})
	i.keepCall("free.vfree", calls, free)
	used, how := f.inLimbo(free.BeginNS)
	i.one("memory.limbo", "bytes", how, float64(used))
	return i.memory("memory.after")
}

// freeing is what was seen while the array's memory was given back.
type freeing struct {
	held       uint64 // VmallocUsed just before the last reference was dropped
	droppingNS int64  // when that began
	readings   []memoryReading
}

// memoryReading is how much vmalloc had given out, and when that was known.
type memoryReading struct {
	used uint64
	atNS int64
}

// inLimbo is the last reading that ended before freeing began. Dropping the
// reference gives nothing back, so what was before it will do.
func (f *freeing) inLimbo(freeBeganNS int64) (used uint64, how string) {
	used, how = f.held, "VmallocUsed, just before the last reference was dropped"
	for _, m := range f.readings {
		if m.atNS <= freeBeganNS {
			used, how = m.used, "VmallocUsed, the last reading before freeing began"
		}
	}
	return used, how
}

// dropAndWait drops the last reference and reads the memory in use until most of
// the array's is back. It reads nothing while the call that drops it waits for a
// grace period: that would hold it up.
func (i *instance) dropAndWait() (f freeing, err error) {
	if f.held, err = mapops.VmallocUsed(); err != nil {
		return f, err
	}
	f.droppingNS = ktime.Now()
	i.result.LastPuts, err = i.drop()
	dropped := ktime.Now()
	if err != nil {
		return f, err
	}
	// A tenth is left for what the rest of the system does meanwhile.
	const limit = time.Minute
	for {
		used, err := mapops.VmallocUsed()
		if err != nil {
			return f, err
		}
		now := ktime.Now()
		f.readings = append(f.readings, memoryReading{used, now})
		if float64(used) <= float64(f.held)-float64(i.cfg.Size)*9/10 {
			i.one("free.total", "ns", "from the end of the call that dropped the last reference until vfree has given 9/10 of its memory back", float64(now-dropped))
			return f, nil
		}
		if now-dropped > limit.Nanoseconds() {
			i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("the array's memory was not back %v after its last reference was dropped", limit))
			return f, nil
		}
		time.Sleep(time.Millisecond)
	}
}
