// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/results"
)

// OwnerTally sums deaths up by whose the maps were. It keeps maxOwners of them, the
// first that come, and all others together: what it takes does not grow with the
// deaths. One goroutine.
type OwnerTally struct {
	sums   map[ownerKey]*ownerSum
	others *ownerSum
}

// maxOwners bounds the owners that are kept apart. Each has a histogram of 30 KB.
const maxOwners = 256

type ownerKey struct {
	outer, outerName, creator, comm, cgroup, container, path, pinnedBy string
	outerID                                                            uint32
}

type ownerSum struct {
	deaths, bytes uint64
	limbo         *Distribution
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
		outer: d.Outer, outerID: o.OuterID, outerName: o.OuterName, creator: o.Creator, comm: d.Comm,
		cgroup: o.Cgroup, container: o.Container, path: d.Path, pinnedBy: strings.Join(o.PinnedBy, "\x00"),
	}
	if o.OuterID == 0 {
		key.outer = ""
	}
	sum := t.sums[key]
	switch {
	case sum != nil:
	case len(t.sums) < maxOwners:
		sum = &ownerSum{limbo: NewDistribution()}
		t.sums[key] = sum
	default:
		if t.others == nil {
			t.others = &ownerSum{limbo: NewDistribution()}
		}
		sum = t.others
	}
	sum.deaths++
	sum.bytes += d.MemBytes
	return sum.limbo.Record(d.FreedNS - d.PutNS)
}

// Sums are the owners, those with the most deaths first, and the others last.
func (t *OwnerTally) Sums() []results.OwnerSum {
	var out []results.OwnerSum
	for key, sum := range t.sums {
		s := results.OwnerSum{
			Outer: key.outer, OuterID: key.outerID, OuterName: key.outerName, Creator: key.creator, Comm: key.comm,
			Cgroup: key.cgroup, Container: key.container, Path: key.path,
			Deaths: sum.deaths, Bytes: sum.bytes, Limbo: sum.limbo.Stats(),
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
