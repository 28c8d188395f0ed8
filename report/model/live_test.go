// SPDX-License-Identifier: Apache-2.0

package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

func held(maps, bytes uint64, holders ...inventory.HolderSum) inventory.Maps {
	return inventory.Maps{Held: inventory.Held{LiveMaps: maps, LiveBytes: bytes}, Holders: holders}
}

func holds(kind, name string, maps, bytes uint64) inventory.HolderSum {
	return inventory.HolderSum{Kind: kind, Name: name, Maps: maps, Bytes: bytes}
}

func viewOf(start, end inventory.Maps) *LiveView {
	return LiveOf(&results.Scenario{Trials: []results.Trial{{Live: &inventory.Live{Start: start, End: &end, Looks: 6, Peak: inventory.Held{
		LiveMaps: 9, LiveBytes: 9 << 10, LimboMaps: 2, LimboBytes: 1 << 10,
	}}}}})
}

// TestLive: what grew between the start and the end is told by holder, and one total.
func TestLive(t *testing.T) {
	end := held(4, 4096, holds(inventory.FD, "agent", 2, 3072), holds(inventory.None, "", 1, 1000), holds(inventory.Pin, "/sys/fs/bpf", 1, 24))
	end.Held.LimboMaps, end.Held.LimboBytes = 1, 512
	end.Top = []inventory.Map{
		{ID: 7, Name: "\x1b[2Jlost", Type: "Hash", Bytes: 1000, References: 3, Unaccounted: 3},
		{ID: 8, Holders: []inventory.Holder{{Kind: inventory.FD}}, References: 2, Unaccounted: 1},
	}
	v := viewOf(held(3, 2048, holds(inventory.FD, "agent", 1, 1024), holds(inventory.Outer, "routes", 2, 1024)), end)
	var rows []string
	for _, r := range v.Rows {
		rows = append(rows, strings.Join([]string{r.Holder, r.StartMaps, r.StartBytes, r.EndMaps, r.EndBytes, r.Grew}, "|"))
	}
	want := []string{
		"agent|1|1.00 KiB|2|3.00 KiB|+2.00 KiB",
		"no owner found|0|0 B|1|1000 B|+1000 B",
		"pinned in /sys/fs/bpf|0|0 B|1|24 B|+24 B",
		"outer map routes|2|1.00 KiB|0|0 B|−1.00 KiB",
		"all|3|2.00 KiB|4|4.00 KiB|+2.00 KiB",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("%q, want %q", rows, want)
	}
	if want := []HeldRow{
		{"at the start", "3", "2.00 KiB", "0", "0 B", "2.00 KiB"}, {"at the end", "4", "4.00 KiB", "1", "512 B", "4.50 KiB"},
		{"most of 6 looks", "9", "9.00 KiB", "2", "1.00 KiB", "10.0 KiB"},
	}; !slices.Equal(v.Totals, want) {
		t.Errorf("%q, want %q", v.Totals, want)
	}
	notes := strings.ReplaceAll(strings.Join(v.Notes, "\n"), NBSP, " ")
	for _, want := range []string{"no owner found: map 7 ", "lost (Hash, 1000 B), 3 references unaccounted for", "1 map is also held"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in %q", want, notes)
		}
	}
	if strings.Contains(notes, "\x1b") {
		t.Errorf("a name is shown as it is: %q", notes)
	}
}

// TestLiveUnknown: what a side doesn't list is not taken for nothing, and where holders
// were not looked for no map is said to have none.
func TestLiveUnknown(t *testing.T) {
	end := held(3, 30, holds(inventory.FD, "late", 1, 20), holds(inventory.None, "", 2, 10))
	end.Unread = []string{"pins"}
	v := viewOf(held(9, 90, holds(inventory.Others, "", 9, 90)), end)
	for _, r := range v.Rows {
		if (r.Holder == "late" || r.Holder == "no owner seen") && (r.Grew != None || r.StartBytes != None) {
			t.Errorf("of one that may be among the others: %+v", r)
		}
		if r.Holder == "no owner found" {
			t.Errorf("it was not looked for: %+v", r)
		}
	}
	if v := LiveOf(&results.Scenario{Trials: []results.Trial{{}}}); v != nil {
		t.Errorf("without an inventory: %+v", v)
	}
	l := &inventory.Live{Start: held(2, 20, holds(inventory.FD, "agent", 2, 20))}
	if v := LiveOf(&results.Scenario{Trials: []results.Trial{{Live: l}}}); v.Rows[0].EndBytes != None || len(v.Totals) != 2 {
		t.Errorf("of one that was cut off: %+v", v)
	}
}

// TestLiveIsBounded: a table has a screenful.
func TestLiveIsBounded(t *testing.T) {
	var sums []inventory.HolderSum
	for i := range inventory.MaxMaps {
		sums = append(sums, holds(inventory.FD, fmt.Sprint("agent", i), 1, 10))
	}
	v := viewOf(held(0, 0), held(inventory.MaxMaps, 10*inventory.MaxMaps, sums...))
	if len(v.Rows) != MaxLiveRows+1 || v.More != inventory.MaxMaps-MaxLiveRows {
		t.Errorf("%d rows, %d more", len(v.Rows), v.More)
	}
}
