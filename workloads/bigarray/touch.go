// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bigarray

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// touch reads one byte of every page for the first time, and then clears all
// of it: what zeroing takes where the memory is there.
func (i *instance) touch(ctx context.Context, _ func()) error {
	if !i.has(mapops.PathMmap) {
		return nil
	}
	if err := i.timed("mmap", "mmap(2) of the whole array, which maps every page", i.mapMemory); err != nil {
		return err
	}
	page := unix.Getpagesize()
	const pages = 4096
	var touched []float64
	var sum byte
	for at := 0; at < len(i.mapped) && ctx.Err() == nil; {
		begin, n := time.Now(), 0
		for ; n < pages && at < len(i.mapped); n++ {
			sum += i.mapped[at]
			at += page
		}
		touched = append(touched, float64(time.Since(begin).Nanoseconds())/float64(n))
	}
	i.result.Metrics["touch"] = workloads.Metric{Values: touched, Unit: "ns/op", How: fmt.Sprintf("first read of every page through mmap, in batches of %d pages", pages)}
	if sum != 0 {
		i.result.Failures = append(i.result.Failures, "a new array is not all zero")
	}
	if ctx.Err() != nil {
		return nil
	}
	return i.timed("zero", "all of the array set to zero through mmap once it is there: what zeroing takes by itself, to hold create.zeroing against",
		func() error { clear(i.mapped); return nil })
}
