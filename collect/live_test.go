// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"fmt"
	"testing"

	"github.com/mapprof/mapprof/internal/mapmemory"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

func arrayMap(id uint32, entries uint32) probes.MapItem {
	return probes.MapItem{Id: id, MapType: results.MapTypeArray, KeySize: 4, ValueSize: 8, MaxEntries: entries, Refs: 2}
}

func ownersOf(live func(*Candidate) bool) *Owners {
	o := NewOwners(nil, nil)
	o.WatchLive(live, false)
	o.live.memory = &footprint{kernel: mapmemory.Kernel{CPUs: 1, PageSize: 4096, Struct: func(string) uint64 { return 0 }}}
	return o
}

// TestInventoryOf: lists are bounded and add up, a map counts for the first of its
// holders, and a reference without a holder is counted.
func TestInventoryOf(t *testing.T) {
	const maps = 2*inventory.MaxMaps + 10
	o := ownersOf(func(c *Candidate) bool { return len(c.Holders) != 1 })
	o.SetOwn([]uint32{3})
	s := &liveScan{holders: map[uint32][]inventory.Holder{}, named: map[uint32]uint64{}}
	for id := range uint32(maps) {
		s.maps = append(s.maps, arrayMap(id, id+1))
		s.add(id, inventory.Holder{Kind: inventory.Outer, Name: "routes", ID: 9})
		if id != 4 { // one holder: filtered
			s.add(id, inventory.Holder{Kind: inventory.FD, Comm: fmt.Sprint("agent", id), PID: id})
		}
	}
	s.maps[maps-1].Refs = 5
	for range inventory.MaxHolders {
		s.add(maps-2, inventory.Holder{Kind: inventory.Program, Name: "user"})
	}
	s.maps = append(s.maps, arrayMap(maps, 1)) // nobody's
	l := o.inventoryOf(s, inventory.Held{LimboBytes: 7})
	if err := checkLive(l); err != nil {
		t.Fatal(err)
	}
	if l.Held.LiveMaps != maps-1 || l.Excluded["own"] != 1 || l.Excluded["filtered"] != 1 || l.Held.LimboBytes != 7 {
		t.Errorf("%+v, excluded %v", l.Held, l.Excluded)
	}
	if n := len(l.Top); n != inventory.MaxMaps || l.Others.Maps != l.Held.LiveMaps-uint64(n) {
		t.Errorf("%d listed, %d others", n, l.Others.Maps)
	}
	if m := l.Top[0]; m.ID != maps-1 || m.Unaccounted != 3 || m.Holders[0].Kind != inventory.FD {
		t.Errorf("the largest: %+v", m)
	}
	if m := l.Top[1]; len(m.Holders) != inventory.MaxHolders || m.MoreHolders != 2 {
		t.Errorf("the one with the most holders: %+v", m)
	}
	if n := len(l.Holders); n != inventory.MaxMaps+1 || l.Holders[n-1].Kind != inventory.Others {
		t.Errorf("%d holders, the last is %+v", n, l.Holders[n-1])
	}
}

// checkLive holds an inventory against what readers accept.
func checkLive(l *inventory.Maps) error {
	var held, top inventory.Sum
	for _, h := range l.Holders {
		held.Maps, held.Bytes = held.Maps+h.Maps, held.Bytes+h.Bytes
	}
	top = l.Others
	for _, m := range l.Top {
		top.Add(m.Bytes)
	}
	if whole := (inventory.Sum{Maps: l.Held.LiveMaps, Bytes: l.Held.LiveBytes}); held != whole || top != whole {
		return fmt.Errorf("held %+v, listed %+v, all %+v", held, top, whole)
	}
	return nil
}

// TestNobodyIsNamedUnseen: where not all holders were looked for, no reference is said
// to have none.
func TestNobodyIsNamedUnseen(t *testing.T) {
	o := ownersOf(nil)
	s := &liveScan{maps: []probes.MapItem{arrayMap(1, 1)}, unread: []string{"pins"}}
	if l := o.inventoryOf(s, inventory.Held{}); l.Top[0].Unaccounted != 0 || l.Holders[0].Kind != inventory.None {
		t.Errorf("%+v", l)
	}
	s.unread = nil
	if l := o.inventoryOf(s, inventory.Held{}); l.Top[0].Unaccounted != 2 {
		t.Errorf("%+v", l)
	}
}

func TestUnescaped(t *testing.T) {
	for in, want := range map[string]string{`/sys/fs/bpf`: "/sys/fs/bpf", `/a\040b\134c`: `/a b\c`, `/a\0`: `/a\0`, `/a\999`: `/a\999`} {
		if got := unescaped(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
