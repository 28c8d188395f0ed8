// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lookup

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads/mapops"
)

// mapBatches looks up many elements by one BPF_MAP_LOOKUP_BATCH. The kernel goes
// through the map in its own order, and begins again after the end.
type mapBatches struct {
	call *mapops.BatchCall
	n    uint32
}

// batchElements is how many one call looks up.
func batchElements(l *Workload) int {
	n := min(mapops.LookupsPerBatch, int(l.entries()))
	// A hash gives whole buckets only, and refuses to give none.
	if l.Map == mapops.MapHash || l.Map == mapops.MapLRUHash {
		n = max(n, 256)
	}
	return n
}

func (i *instance) newMapBatches() (*mapBatches, error) {
	n := batchElements(i.cfg)
	b := &mapBatches{call: mapops.NewBatchCall(i.m, n, i.valueBytes(i.m)), n: uint32(n)}
	_, _, err := b.batch()
	b.call.FromStart()
	return b, err
}

// batch is one call that gave something; the call after the last element may
// not.
func (b *mapBatches) batch() (int64, int, error) {
	for range 2 {
		begin := time.Now()
		got, err := b.call.Do(unix.BPF_MAP_LOOKUP_BATCH, b.n)
		took := time.Since(begin).Nanoseconds()
		if err == nil {
			b.call.Resume()
		} else {
			b.call.FromStart()
		}
		switch {
		case err != nil && !errors.Is(err, unix.ENOENT): // ENOENT: that was the end
			hint := ""
			if errors.Is(err, unix.Errno(524) /* ENOTSUPP */) || errors.Is(err, unix.EINVAL) {
				hint = " (this kernel has no batched lookup for this map; leave path batch out)"
			}
			return 0, 0, fmt.Errorf("look up %d elements at once: %w%s", b.n, err, hint)
		case got > 0:
			return took, int(got), nil
		}
	}
	return 0, 0, fmt.Errorf("look up %d elements at once: none came", b.n)
}
