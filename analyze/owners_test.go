// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"fmt"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestOwnerTally: owners are told apart as far as there is room, and no death is
// missing from the sums.
func TestOwnerTally(t *testing.T) {
	tally, n := NewOwnerTally(), uint64(0)
	add := func(d results.Death) {
		t.Helper()
		d.Path, d.MemBytes, d.FreedNS = "rcu", 10, 1000
		if err := tally.Add(&d); err != nil {
			t.Fatal(err)
		}
	}
	add(results.Death{}) // nobody's
	for range 3 {
		add(results.Death{Owner: &results.Owner{OuterName: "often", PinnedBy: []string{"a", "b"}}})
		n++
	}
	for i := range 2 * maxOwners {
		add(results.Death{Owner: &results.Owner{OuterName: fmt.Sprint("outer", i)}})
		n++
	}
	sums := tally.Sums()
	if len(sums) != maxOwners+1 || sums[0].OuterName != "often" || sums[0].Deaths != 3 || len(sums[0].PinnedBy) != 2 || !sums[maxOwners].Others {
		t.Errorf("%d sums, the first %+v, the last %+v", len(sums), sums[0], sums[len(sums)-1])
	}
	var deaths, bytes uint64
	for _, s := range sums {
		deaths, bytes = deaths+s.Deaths, bytes+s.Bytes
		if s.Limbo.N != s.Deaths || s.Limbo.MaxNS != 1000 {
			t.Errorf("%+v", s)
		}
	}
	if deaths != n || bytes != 10*n {
		t.Errorf("%d deaths of %d, %d bytes", deaths, n, bytes)
	}
}

// TestOwnerTallyKeepsTheMost: an owner that comes late, when there is no room, is kept
// all the same where it has more deaths than the least of those that there are, and
// what its entry may lack is told. No death is lost.
func TestOwnerTallyKeepsTheMost(t *testing.T) {
	tally, n := NewOwnerTally(), uint64(0)
	add := func(outer string) {
		t.Helper()
		n++
		d := results.Death{Path: "rcu", MemBytes: 10, FreedNS: 1000, Owner: &results.Owner{OuterName: outer}}
		if err := tally.Add(&d); err != nil {
			t.Fatal(err)
		}
	}
	const late = 3 * maxOwners
	for i := range 20 * maxOwners { // each of them once or so
		add(fmt.Sprint("passing", i))
	}
	for i := range 2 * late { // the one that matters among them
		if add(fmt.Sprint("later", i)); i%2 == 0 {
			add("late")
		}
	}
	sums := tally.Sums()
	if len(sums) != maxOwners+1 {
		t.Fatalf("%d sums", len(sums))
	}
	first := &sums[0]
	if first.OuterName != "late" || first.Deaths > late || first.Deaths+first.MissedAtMost < late {
		t.Errorf("%+v of %d deaths", first, late)
	}
	var deaths, bytes, limbo uint64
	for _, s := range sums {
		deaths, bytes, limbo = deaths+s.Deaths, bytes+s.Bytes, limbo+s.Limbo.N
		if s.Limbo.MinNS != 1000 || s.Limbo.MaxNS != 1000 || s.Limbo.P50NS != 1000 || s.Limbo.SumNS != int64(s.Deaths)*1000 {
			t.Errorf("%+v", s)
		}
	}
	if deaths != n || bytes != 10*n || limbo != n {
		t.Errorf("%d deaths of %d, %d bytes, %d in limbo", deaths, n, bytes, limbo)
	}
}
