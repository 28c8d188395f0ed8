// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"slices"

	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// key tells owners apart.
type key struct {
	outer, outerName, creator, comm, cgroup, container, path string
	outerID                                                  uint32
}

func keyOf(d *results.Death) key {
	o := d.Owner
	if o == nil {
		return key{comm: d.Comm, path: d.Path}
	}
	k := key{outerID: o.OuterID, outerName: o.OuterName, creator: o.CreatorName(), cgroup: o.Cgroup, container: o.Container, path: d.Path}
	if o.OuterID != 0 {
		k.outer = d.Outer
	}
	if k.creator == "" {
		k.comm = d.Comm
	}
	return k
}

// owner is what is kept of one.
type owner struct {
	deaths, before       uint64
	seenNS               int64 // the last death, or that one is under way
	samples              []sample
	next                 int // the oldest of samples, once they are full
	pinned               []string
	stack                string
	limboMaps, limboByte uint64
	oldestNS             int64
}

// sample is a death's phases by their place in the table; -1: it has no such phase.
type sample struct {
	freedNS int64
	ns      []int64
}

func (o *owner) death(d *results.Death) {
	o.deaths++
	s := sample{freedNS: d.FreedNS}
	if len(o.samples) < OwnerSamples {
		s.ns = make([]int64, len(results.Phases()))
		o.samples = append(o.samples, s)
	} else {
		s.ns = o.samples[o.next].ns
		o.samples[o.next] = s
		o.next = (o.next + 1) % OwnerSamples
	}
	for i := range s.ns {
		s.ns[i] = -1
	}
	for i, ns := range d.EachPhase {
		s.ns[i] = ns
	}
	o.stack = d.Stack
	o.pins(d)
}

func (o *owner) pins(d *results.Death) {
	if d.Owner != nil && len(d.Owner.PinnedBy) > 0 {
		o.pinned = d.Owner.PinnedBy
	}
}

func (o *owner) clearPending() { o.limboMaps, o.limboByte, o.oldestNS = 0, 0, 0 }

func (o *owner) pending(d *results.Death, atNS int64) {
	o.limboMaps++
	o.limboByte += d.MemBytes
	o.oldestNS = max(o.oldestNS, atNS-d.PutNS)
	o.pins(d)
}

func (o *owner) snapshot(k *key, s *State, intervalNS, windowNS int64) Owner {
	out := Owner{
		Outer: k.outer, OuterID: k.outerID, OuterName: safetext.Name(k.outerName), Creator: safetext.Name(k.creator),
		Comm: safetext.Name(k.comm), Cgroup: safetext.Name(k.cgroup), Container: safetext.Name(k.container), Path: k.path,
		Deaths: o.deaths, DeathsPerSecond: perSecond(o.deaths-o.before, intervalNS),
		LimboMaps: o.limboMaps, LimboBytes: o.limboByte, OldestNS: o.oldestNS,
	}
	for _, p := range o.pinned {
		out.PinnedBy = append(out.PinnedBy, safetext.Name(p))
	}
	for _, f := range s.Stacks[o.stack] {
		out.Stack = append(out.Stack, safetext.Name(f.Function))
	}
	out.Phases = o.phases(s.AtNS - windowNS)
	out.Limbo = out.Phases[results.PhaseLimbo]
	o.before = o.deaths
	return out
}

// phases are of the samples since then.
func (o *owner) phases(sinceNS int64) map[string]results.Stats {
	out := map[string]results.Stats{}
	var values []int64
	for i, p := range results.Phases() {
		values = values[:0]
		for _, s := range o.samples {
			if s.freedNS >= sinceNS && s.ns[i] >= 0 {
				values = append(values, s.ns[i])
			}
		}
		if len(values) > 0 {
			out[p.Name] = statsOf(values)
		}
	}
	return out
}

// statsOf are the figures of some values, which it sorts.
func statsOf(values []int64) results.Stats {
	slices.Sort(values)
	n := len(values)
	at := func(percent int) int64 { return values[(n*percent+99)/100-1] }
	s := results.Stats{N: uint64(n), P50NS: at(50), P90NS: at(90), P99NS: at(99), MinNS: values[0], MaxNS: values[n-1]}
	for _, v := range values {
		s.SumNS += v
	}
	s.MeanNS = float64(s.SumNS) / float64(n)
	return s
}

// By is a column to sort by.
type By int

// The columns, each with the most first.
const (
	ByLimbo By = iota // bytes in limbo now
	ByDeaths
	ByP99
	ByOldest
	columns
)

// Next is the column after it.
func (b By) Next() By { return (b + 1) % columns }

func (b By) String() string {
	return [...]string{"limbo", "deaths", "p99", "oldest"}[b]
}

// Sort sorts owners. Those that are equal in the column have a fixed order.
func Sort(owners []Owner, by By) {
	slices.SortFunc(owners, func(a, b Owner) int {
		return cmp.Or(by.compare(&b, &a), cmp.Compare(b.Deaths, a.Deaths), cmp.Compare(a.OuterName, b.OuterName), cmp.Compare(a.OuterID, b.OuterID),
			cmp.Compare(a.Creator, b.Creator), cmp.Compare(a.Comm, b.Comm), cmp.Compare(a.Cgroup, b.Cgroup), cmp.Compare(a.Path, b.Path))
	})
}

func (b By) compare(x, y *Owner) int {
	switch b {
	case ByDeaths:
		return cmp.Compare(x.Deaths, y.Deaths)
	case ByP99:
		return cmp.Compare(x.Limbo.P99NS, y.Limbo.P99NS)
	case ByOldest:
		return cmp.Compare(x.OldestNS, y.OldestNS)
	}
	return cmp.Compare(x.LimboBytes, y.LimboBytes)
}
