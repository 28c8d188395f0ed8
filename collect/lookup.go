// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
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

// LookupStack is a place from which lookups came, by name.
type LookupStack struct {
	Frames []results.Frame // innermost first; empty: not known
	Calls  uint64
}

// LookupStacks names the callers of a probe with stacks.
func LookupStacks(p *probes.LookupProbe) ([]LookupStack, error) {
	stacks, err := p.Stacks()
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, s := range stacks {
		all = append(all, s.Addresses...)
	}
	frames, err := kallsyms.Kernel(all)
	if err != nil {
		return nil, fmt.Errorf("symbolize stacks: %w", err)
	}
	out := make([]LookupStack, 0, len(stacks))
	for _, s := range stacks {
		l := LookupStack{Calls: s.Calls}
		for _, a := range s.Addresses {
			fr, ok := frames[a]
			if !ok {
				fr = results.Frame{Function: fmt.Sprintf("0x%x", a)}
			}
			l.Frames = append(l.Frames, fr)
		}
		// The tracer's own, and the function itself, which the profile has.
		l.Frames = trimTracer(l.Frames)
		out = append(out, l)
	}
	return out, nil
}
