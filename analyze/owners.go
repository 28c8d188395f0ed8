// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/results"
)

// OwnerTally sums deaths up by whose the maps were. It keeps maxOwners of them apart and
// all others together: what it takes does not grow with the deaths. Those that it keeps
// are chosen as by Space-Saving (Metwally et al., 2005): a new one takes the place of
// that with the lowest rank, and begins with this rank. So an owner with more than one
// in maxOwners of all deaths is there, whenever it came. One goroutine.
type OwnerTally struct {
	sums   map[ownerKey]*ownerSum
	others *ownerSum
}

// maxOwners bounds the owners that are kept apart.
const maxOwners = 256

type ownerKey struct {
	outer, outerName, creator, comm, cgroup, container, path, pinnedBy string
	outerID                                                            uint32
}

type ownerSum struct {
	deaths, bytes uint64
	// before is how many of its deaths may be among the others, at most.
	before  uint64
	firstNS int64         // limbo of the first death
	limbo   *Distribution // of all; nil: there is one
}

func (s *ownerSum) rank() uint64 { return s.before + s.deaths }

func (s *ownerSum) add(bytes uint64, ns int64) error {
	s.deaths++
	s.bytes += bytes
	if s.deaths == 1 && ns >= 0 {
		s.firstNS = ns
		return nil
	}
	if s.limbo == nil {
		s.limbo = NewDistribution()
		if err := s.limbo.Record(s.firstNS); err != nil {
			return err
		}
	}
	return s.limbo.Record(ns)
}

func (s *ownerSum) stats() results.Stats {
	if ns := s.firstNS; s.limbo == nil {
		return results.Stats{N: 1, P50NS: ns, P90NS: ns, P99NS: ns, MinNS: ns, MaxNS: ns, MeanNS: float64(ns), SumNS: ns}
	}
	return s.limbo.Stats()
}

// moveTo adds it to another one, which has a distribution.
func (s *ownerSum) moveTo(to *ownerSum) error {
	to.deaths += s.deaths
	to.bytes += s.bytes
	if s.limbo == nil {
		return to.limbo.Record(s.firstNS)
	}
	s.limbo.MoveTo(to.limbo)
	return nil
}

// NewOwnerTally returns an empty one.
func NewOwnerTally() *OwnerTally { return &OwnerTally{sums: map[ownerKey]*ownerSum{}} }

// Add counts a death that has an owner; another one is not counted.
func (t *OwnerTally) Add(d *results.Death) error {
	o := d.Owner
	if o == nil {
		return nil
	}
	key := ownerKey{
		outer: d.Outer, outerID: o.OuterID, outerName: o.OuterName, creator: o.CreatorName(), comm: d.Comm,
		cgroup: o.Cgroup, container: o.Container, path: d.Path, pinnedBy: strings.Join(o.PinnedBy, "\x00"),
	}
	if o.OuterID == 0 {
		key.outer = ""
	}
	sum := t.sums[key]
	if sum == nil {
		sum = &ownerSum{}
		if len(t.sums) == maxOwners {
			before, err := t.makeRoom()
			if err != nil {
				return err
			}
			sum.before = before
		}
		t.sums[key] = sum
	}
	return sum.add(d.MemBytes, d.FreedNS-d.PutNS)
}

// makeRoom puts the owner of the lowest rank, which it returns, to the others.
func (t *OwnerTally) makeRoom() (rank uint64, err error) {
	var lowest ownerKey
	rank = math.MaxUint64
	for key, sum := range t.sums {
		if r := sum.rank(); r < rank {
			rank, lowest = r, key
		}
	}
	if t.others == nil {
		t.others = &ownerSum{limbo: NewDistribution()}
	}
	err = t.sums[lowest].moveTo(t.others)
	delete(t.sums, lowest)
	return rank, err
}

// Sums are the owners, those with the most deaths first, and the others last.
func (t *OwnerTally) Sums() []results.OwnerSum {
	var out []results.OwnerSum
	for key, sum := range t.sums {
		s := results.OwnerSum{
			Outer: key.outer, OuterID: key.outerID, OuterName: key.outerName, Creator: key.creator, Comm: key.comm,
			Cgroup: key.cgroup, Container: key.container, Path: key.path,
			Deaths: sum.deaths, MissedAtMost: sum.before, Bytes: sum.bytes, Limbo: sum.stats(),
		}
		if key.pinnedBy != "" {
			s.PinnedBy = strings.Split(key.pinnedBy, "\x00")
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b results.OwnerSum) int {
		return cmp.Or(cmp.Compare(b.Deaths, a.Deaths), cmp.Compare(a.OuterID, b.OuterID), cmp.Compare(a.OuterName, b.OuterName),
			cmp.Compare(a.Creator, b.Creator), cmp.Compare(a.Comm, b.Comm), cmp.Compare(a.Cgroup, b.Cgroup),
			cmp.Compare(a.Path, b.Path), slices.Compare(a.PinnedBy, b.PinnedBy))
	})
	if o := t.others; o != nil {
		out = append(out, results.OwnerSum{Others: true, Deaths: o.deaths, Bytes: o.bytes, Limbo: o.limbo.Stats()})
	}
	return out
}
