// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
)

const second = int64(time.Second)

// death is one that waited for RCU from putNS on, for so long.
func death(outer string, putNS, limboNS int64) results.Death {
	return results.Death{
		Path: results.StrategyRCU, MapName: "inner", MapType: "array", Outer: "array_of_maps", MemBytes: 100, Comm: "agent", Stack: "s",
		PutNS: putNS, EnqueueNS: putNS + 1, RCUEnqueueNS: putNS + 1, RCUEndNS: putNS + limboNS - 2, FreeNS: putNS + limboNS - 1, FreedNS: putNS + limboNS,
		Owner: &results.Owner{OuterID: 7, OuterName: outer, Creator: "agent"},
	}
}

func add(t *testing.T, w *Window, deaths ...results.Death) {
	t.Helper()
	for i := range deaths {
		if err := w.Add(&deaths[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSnapshot: counts are since the beginning, rates of the interval, times of the
// window, and what is under way is as of now.
func TestSnapshot(t *testing.T) {
	w := NewWindow(30*time.Second, 100*second)
	add(t, w, death("a", 100*second, 10e6), death("a", 100*second, 20e6), death("b", 100*second, 30e6))
	pending := death("b", 101*second, 0)
	pending.RCUEndNS, pending.FreeNS, pending.FreedNS = 0, 0, 0
	pending.Owner.PinnedBy = []string{"prog \x1b[2Jof me"}
	frames := []results.Frame{{Function: "bpf_map_put"}, {Function: "__sys_bpf"}}
	s := w.Snapshot(&State{
		AtNS: 102 * second, Pending: []results.Death{pending}, Lost: 2,
		Loss: map[string]uint64{"stale": 2, "ringbuf_full": 0}, Stacks: map[string][]results.Frame{"s": frames},
	})
	if s.Deaths != 3 || s.IntervalDeaths != 3 || s.DeathsPerSecond != 1.5 || s.LimboMaps != 1 || s.LimboBytes != 100 || s.Lost != 2 || len(s.Loss) != 1 {
		t.Errorf("%+v", s)
	}
	if o := s.Oldest; o == nil || o.AgeNS != second || o.Phase != results.PhaseRCUGP || o.Creator != "agent" || o.Outer != "b" {
		t.Errorf("the oldest: %+v", s.Oldest)
	}
	if l := s.Phases[results.PhaseLimbo]; l.N != 3 || l.MinNS != 10e6 || l.MaxNS != 30e6 || s.WindowNS != 2*second {
		t.Errorf("%+v of %d ns", s.Phases, s.WindowNS)
	}
	if _, ok := s.Phases[results.PhaseTasksTraceGP]; ok {
		t.Error("a phase that no death had is there")
	}
	if len(s.Owners) != 2 || s.Others != nil {
		t.Fatalf("%+v", s.Owners)
	}
	b, a := s.Owners[0], s.Owners[1] // b has memory in limbo
	if b.OuterName != "b" || b.Deaths != 1 || b.LimboMaps != 1 || b.OldestNS != second || !slices.Equal(b.PinnedBy, []string{"prog of me"}) || len(b.Stack) != 2 {
		t.Errorf("%+v", b)
	}
	if a.Deaths != 2 || a.DeathsPerSecond != 1 || a.Limbo.P50NS != 10e6 || a.Limbo.P99NS != 20e6 || a.LimboMaps != 0 {
		t.Errorf("%+v", a)
	}
	// Nothing happens any more: the times leave with their window, the counts stay.
	s = w.Snapshot(&State{AtNS: 120 * second})
	if s.Deaths != 3 || s.IntervalDeaths != 0 || s.Phases[results.PhaseLimbo].N != 3 || s.LimboMaps != 0 || s.Oldest != nil {
		t.Errorf("%+v", s)
	}
	for at := 125 * second; at <= 170*second; at += 5 * second {
		s = w.Snapshot(&State{AtNS: at, Final: true})
	}
	if len(s.Phases) != 0 || len(s.Owners) != 2 || s.Owners[0].Limbo.N != 0 || s.Owners[0].Deaths != 2 || !s.Final {
		t.Errorf("%+v", s)
	}
}

// TestOwnersAreBounded: however many there are, what is kept is bounded and every death
// counts. One of which nothing is heard makes room.
func TestOwnersAreBounded(t *testing.T) {
	w := NewWindow(10*time.Second, 0)
	total := 0
	for i := range 3 * MaxOwners {
		for range 3 {
			add(t, w, death(fmt.Sprintf("outer%d", i), second, 1e6))
			total++
		}
	}
	for range 3 * OwnerSamples {
		add(t, w, death("outer0", second, 1e6))
		total++
	}
	s := w.Snapshot(&State{AtNS: 2 * second})
	sum := s.Others.Deaths
	for _, o := range s.Owners {
		sum += o.Deaths
	}
	if len(s.Owners) != MaxOwners || sum != uint64(total) || s.Deaths != sum {
		t.Errorf("%d owners, %d deaths of %d", len(s.Owners), sum, total)
	}
	if n := s.Owners[0].Limbo.N; n > OwnerSamples {
		t.Errorf("the times of %d deaths are kept", n)
	}
	add(t, w, death("late", 60*second, 1e6))
	s = w.Snapshot(&State{AtNS: 61 * second})
	if i := slices.IndexFunc(s.Owners, func(o Owner) bool { return o.OuterName == "late" }); i < 0 || len(s.Owners) != MaxOwners {
		t.Errorf("no room for one that came late: %d owners", len(s.Owners))
	}
	sum = s.Others.Deaths
	for _, o := range s.Owners {
		sum += o.Deaths
	}
	if sum != uint64(total)+1 {
		t.Errorf("%d deaths of %d after one was let go", sum, total+1)
	}
}

// TestPendingPart: one that has come a part of a path belongs to the owner whose deaths
// went all of it.
func TestPendingPart(t *testing.T) {
	w := NewWindow(10*time.Second, 0)
	whole := death("a", second, 1e6)
	whole.Path, whole.TasksTraceEndNS = results.StrategyTasksTrace+"+"+results.StrategyRCU, whole.EnqueueNS
	part := death("a", second, 0)
	part.Path, part.RCUEnqueueNS, part.RCUEndNS, part.FreeNS, part.FreedNS = results.StrategyTasksTrace, 0, 0, 0, 0
	s := w.Snapshot(&State{AtNS: second, Pending: []results.Death{part}})
	if len(s.Owners) != 1 || s.Owners[0].Path != results.StrategyTasksTrace || s.Oldest.Phase != results.PhaseTasksTraceGP {
		t.Errorf("%+v", s.Owners)
	}
	add(t, w, whole)
	s = w.Snapshot(&State{AtNS: 2 * second, Pending: []results.Death{part}})
	if len(s.Owners) != 1 || s.Owners[0].Path != whole.Path || s.Owners[0].LimboMaps != 1 {
		t.Errorf("%+v", s.Owners)
	}
}

// TestSort: by each column the most comes first.
func TestSort(t *testing.T) {
	owners := []Owner{
		{OuterName: "limbo", LimboBytes: 9},
		{OuterName: "deaths", Deaths: 9},
		{OuterName: "p99", Limbo: results.Stats{P99NS: 9}},
		{OuterName: "oldest", OldestNS: 9},
	}
	by := ByLimbo
	for range columns {
		if Sort(owners, by); owners[0].OuterName != by.String() {
			t.Errorf("by %v: %+v", by, owners)
		}
		by = by.Next()
	}
	if by != ByLimbo {
		t.Errorf("after all columns comes %v", by)
	}
}
