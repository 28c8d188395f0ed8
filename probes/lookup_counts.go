// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
)

// The geometry of a lookup histogram, which hdrhistogram-go needs to make an
// equal one.
const (
	LookupMinNS  = 1
	LookupMaxNS  = 1<<36 - 1
	LookupDigits = 2
)

// lookupExactBelow is where buckets begin to be wider than a nanosecond.
const lookupExactBelow = 256

// LookupCounts is what was counted of a function's calls, over all CPUs.
type LookupCounts struct {
	// Buckets are laid out as in hdrhistogram-go.
	Buckets []int64
	// Count, SumNS, MinNS and MaxNS are exact, and of all values: those in
	// buckets and those above LookupMaxNS, which are in Overflow.
	Count, Overflow uint64
	SumNS           uint64
	MinNS, MaxNS    uint64
	// Sample is how many calls one was timed of, on average; 1: each. Seen is
	// how many there were of the function, for whichever map; 0: not counted.
	Sample, Seen uint64
	// Excluded are calls for other maps, of those that were to be timed. Unmatched are calls that ended
	// without a start, the excluded ones among them.
	Excluded, Unmatched uint64
	// Pages is how many the timed calls were for, with LookupConfig.Pages.
	Pages uint64
	// Missed by kind: calls that were not timed.
	Missed map[string]uint64

	sampled uint64 // calls that were chosen
}

// Counts reads what was counted. A call that is under way meanwhile may be in
// part of the figures: read when none is.
func (p *LookupProbe) Counts() (LookupCounts, error) {
	c, err := readLookupCounts(p.maps[lookupBSS])
	if err != nil {
		return c, err
	}
	if p.cfg.Sample > 1 {
		c.Sample = p.cfg.Sample
		// No exit counts the calls that were not chosen.
		c.Missed["start_unseen"] = c.sampled - min(c.sampled, c.Count+c.Missed["time_went_back"])
	}
	for _, prog := range p.progs {
		stats, err := prog.Stats()
		if err != nil {
			return c, fmt.Errorf("read stats of the lookup probe: %w", err)
		}
		c.Missed["recursion_misses"] += stats.RecursionMisses
	}
	return c, nil
}

func readLookupCounts(m *ebpf.Map) (LookupCounts, error) {
	raw, err := m.LookupBytes(uint32(0))
	if err != nil {
		return LookupCounts{}, fmt.Errorf("read lookup histogram: %w", err)
	}
	size := int(unsafe.Sizeof(lookupLookupCpu{}))
	if len(raw) == 0 || len(raw)%size != 0 {
		return LookupCounts{}, fmt.Errorf("read lookup histogram: %d bytes are no multiple of %d", len(raw), size)
	}
	c := LookupCounts{Sample: 1, MinNS: math.MaxUint64, Missed: map[string]uint64{}}
	for ; len(raw) > 0; raw = raw[size:] {
		var cpu lookupLookupCpu
		if _, err := binary.Decode(raw[:size], binary.NativeEndian, &cpu); err != nil {
			return c, fmt.Errorf("read lookup histogram: %w", err)
		}
		c.add(&cpu)
	}
	if c.Count == 0 {
		c.MinNS = 0
	}
	// Every excluded call ends unmatched too.
	c.Missed["start_unseen"] = c.Unmatched - min(c.Unmatched, c.Excluded)
	return c, c.Check()
}

func (c *LookupCounts) add(cpu *lookupLookupCpu) {
	if c.Buckets == nil {
		c.Buckets = make([]int64, len(cpu.Counts))
	}
	for i, n := range cpu.Counts {
		c.Buckets[i] += int64(n)
		if ns := uint64(i); ns < lookupExactBelow && n > 0 {
			c.Count += n
			c.SumNS += ns * n
			c.MinNS, c.MaxNS = min(c.MinNS, ns), max(c.MaxNS, ns)
		}
	}
	c.Seen += cpu.Drawn - cpu.Left
	c.sampled += cpu.Sampled
	if cpu.MaxNs > 0 {
		c.SumNS += cpu.SumNs
		c.MinNS, c.MaxNS = min(c.MinNS, cpu.MinNs), max(c.MaxNS, cpu.MaxNs)
	}
	c.Count += cpu.Count
	c.Overflow += cpu.Overflow
	c.Excluded += cpu.Excluded
	c.Unmatched += cpu.Unmatched
	c.Pages += cpu.Pages
	c.Missed["time_went_back"] += cpu.WentBack
}

// Check holds the buckets against the count, which was kept apart from those that
// are wider than a nanosecond.
func (c *LookupCounts) Check() error {
	total := c.Overflow
	for _, n := range c.Buckets {
		total += uint64(n)
	}
	if total != c.Count {
		return fmt.Errorf("check lookup histogram: its buckets hold %d values, %d were counted", total, c.Count)
	}
	return nil
}

// CallerStack is how many of the timed calls came from one place.
type CallerStack struct {
	Addresses []uint64 // innermost first; empty: the stack is not known
	Calls     uint64
}

// Stacks returns the callers, with LookupConfig.Stacks.
func (p *LookupProbe) Stacks() ([]CallerStack, error) {
	var out []CallerStack
	var id int32
	var n uint64
	it := p.maps[lookupMapMpfCalls].Iterate()
	for it.Next(&id, &n) {
		c := CallerStack{Calls: n}
		var frames [127]uint64
		if id >= 0 {
			if err := p.maps[lookupMapMpfCallers].Lookup(uint32(id), &frames); err != nil {
				return nil, fmt.Errorf("read stack of lookups: %w", err)
			}
			end := slices.Index(frames[:], 0)
			if end < 0 {
				end = len(frames)
			}
			c.Addresses = slices.Clone(frames[:end])
		}
		out = append(out, c)
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read stacks of lookups: %w", err)
	}
	return out, nil
}
