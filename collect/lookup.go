// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/probes"
)

// LookupHistogram imports what was counted in the kernel. Nothing may be lost:
// hdrhistogram-go drops counts that it has no bucket for without a word, so
// the total is held against the exact count.
func LookupHistogram(c probes.LookupCounts) (*hdrhistogram.Histogram, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	empty := hdrhistogram.New(probes.LookupMinNS, probes.LookupMaxNS, probes.LookupDigits)
	snapshot := empty.Export()
	if len(snapshot.Counts) != len(c.Buckets) {
		return nil, fmt.Errorf("import lookup histogram: %d buckets, hdrhistogram-go has %d", len(c.Buckets), len(snapshot.Counts))
	}
	for i, n := range c.Buckets {
		if n < 0 {
			return nil, fmt.Errorf("import lookup histogram: bucket %d overflowed", i)
		}
	}
	snapshot.Counts = c.Buckets
	h := hdrhistogram.Import(snapshot)
	if got, want := uint64(h.TotalCount()), c.Count-c.Overflow; got != want {
		return nil, fmt.Errorf("import lookup histogram: %d values arrived, %d were counted", got, want)
	}
	return h, nil
}
