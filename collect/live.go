// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
)

// liveMaps are the inventories of a recording so far.
type liveMaps struct {
	watched bool
	wanted  func(*Candidate) bool // nil: all
	byOwner bool                  // that depends on who holds a map
	memory  *footprint
	ownerAt func(address uint64) probes.Owner
	own     map[uint32]bool // mapprof's maps
	so      *inventory.Live // nil: there is no inventory
	// next is when the total may be looked at again: what it costs is bounded.
	next    time.Time
	problem error // the first
}

// Candidate is a live map as a filter looks at it.
type Candidate struct {
	Name, Type string
	Holders    []inventory.Holder // all of them
	// Creator and Cgroup are the creator's, empty where the map is older than the
	// recording. InTree says that it is of the process that probes.Owners.PID names.
	Creator, CreatorExe, Cgroup string
	InTree                      bool
}

// WatchLive takes an inventory of the live maps that are wanted, nil: of all, when the
// watching begins and when it ends, and looks at their total between. byOwner says that
// wanted depends on who holds a map. It is called before Start.
func (o *Owners) WatchLive(wanted func(*Candidate) bool, byOwner bool) {
	o.live.watched, o.live.wanted, o.live.byOwner = true, wanted, byOwner
}

// look finds the sleepable programs that there are already when the watching begins, and
// takes the inventory of then.
func (o *Owners) look(memory *footprint, ownerAt func(address uint64) probes.Owner, atNS int64) {
	o.live.memory, o.live.ownerAt = memory, ownerAt
	if o.inventory == nil {
		return
	}
	began := time.Now()
	s, err := o.begin()
	// What can't be read isn't known, and no program is named for it.
	for i := range s.programs {
		if p := &s.programs[i]; p.Sleepable != 0 {
			o.pin(p.Id, programName(p.Id, &p.Name, s.loaders[p.Id].Comm), 0, p.Maps[:min(int(p.UsedMaps), len(p.Maps))])
		}
	}
	if !o.live.watched {
		return
	}
	if err != nil {
		o.live.problem = err
		return
	}
	start := o.inventoryOf(s, inventory.Held{AtNS: atNS})
	start.TookNS = time.Since(began).Nanoseconds()
	o.live.so = &inventory.Live{Start: *start, Peak: start.Held, Looks: 1}
}

// begin reads what look needs.
func (o *Owners) begin() (*liveScan, error) {
	if o.live.watched {
		return o.scan()
	}
	s := newLiveScan()
	return s, o.scanPrograms(s)
}

// sampleShare bounds what the totals cost: a look that takes 10 ms is followed by
// half a second without another.
const sampleShare = 50

// alive looks at what maps hold, with those in limbo at that moment; over: the
// recording has ended. Its result is the caller's to keep.
func (o *Owners) alive(atNS int64, limbo []results.Death, over bool) *inventory.Live {
	l := &o.live
	if l.so == nil {
		return nil
	}
	now := time.Now()
	if l.so.End == nil && (over || now.After(l.next)) {
		held := inventory.Held{AtNS: atNS, LimboMaps: uint64(len(limbo))}
		for i := range limbo {
			held.LimboBytes += limbo[i].MemBytes
		}
		if err := o.total(&held, over); err != nil {
			l.problem = cmp.Or(l.problem, err)
		} else {
			l.so.Looks++
			if held.Bytes() > l.so.Peak.Bytes() {
				l.so.Peak = held
			}
		}
		took := time.Since(now)
		if l.so.End != nil {
			l.so.End.TookNS = took.Nanoseconds()
		}
		l.next = now.Add(took * sampleShare)
	}
	kept := *l.so
	return &kept
}

// total adds to held what is alive, and keeps who holds it where the recording is over.
func (o *Owners) total(held *inventory.Held, over bool) error {
	if !over && !o.live.byOwner {
		return o.inventory.Maps(func(m *probes.MapItem) {
			if !o.live.own[m.Id] && o.wantsLive(m, nil) {
				held.LiveMaps++
				held.LiveBytes += o.bytesOf(m)
			}
		})
	}
	s, err := o.scan()
	if err != nil {
		return err
	}
	all := o.inventoryOf(s, *held)
	*held = all.Held
	if over {
		o.live.so.End = all
	}
	return nil
}

// Problem says what kept live maps from being looked at; empty: nothing. Call it when
// the collector has ended.
func (o *Owners) Problem() string {
	if o == nil || o.live.problem == nil {
		return ""
	}
	return fmt.Sprintf("not all live maps are known: %v", o.live.problem)
}

// liveScan is what there is, read in an order in which nothing that stays is missed.
type liveScan struct {
	maps     []probes.MapItem
	programs []probes.ProgramItem
	holders  map[uint32][]inventory.Holder // by map
	named    map[uint32]uint64             // references with a holder, by map
	loaders  map[uint32]inventory.Holder   // a process that holds it, by program
	unread   []string
	slots    uint32 // of outer maps that were read
	outer    int    // outer maps that may not be opened
}

func newLiveScan() *liveScan {
	return &liveScan{holders: map[uint32][]inventory.Holder{}, named: map[uint32]uint64{}, loaders: map[uint32]inventory.Holder{}}
}

// maxUnread bounds what is said of what was not read.
const maxUnread = 8

// scan reads the maps that there are, and who holds them.
// Those that have no holder, or come and go meanwhile, are looked at twice: a
// reference counts if it was there before the holders were read, and after.
func (o *Owners) scan() (*liveScan, error) {
	s := newLiveScan()
	err := o.inventory.Maps(func(m *probes.MapItem) { s.maps = append(s.maps, *m) })
	if err != nil {
		return s, err
	}
	if err := o.scanHolders(s); err != nil {
		return s, err
	}
	after := make(map[uint32]uint64, len(s.maps))
	if err := o.inventory.Maps(func(m *probes.MapItem) { after[m.Id] = m.Refs }); err != nil {
		return s, err
	}
	s.maps = slices.DeleteFunc(s.maps, func(m probes.MapItem) bool { _, there := after[m.Id]; return !there })
	for i := range s.maps {
		s.maps[i].Refs = min(s.maps[i].Refs, after[s.maps[i].Id])
	}
	return s, nil
}

func (o *Owners) scanHolders(s *liveScan) error {
	if err := o.scanPrograms(s); err != nil {
		return err
	}
	s.addPins()
	for i := range s.programs {
		p := &s.programs[i]
		loader := s.loaders[p.Id]
		by := inventory.Holder{Kind: inventory.Program, Name: programName(p.Id, &p.Name, ""), ID: p.Id, Comm: loader.Comm, PID: loader.PID}
		for _, id := range p.Maps[:min(int(p.UsedMaps), len(p.Maps))] {
			s.add(id, by)
		}
	}
	for i := range s.maps {
		m := &s.maps[i]
		if m.MapType == results.MapTypeArrayOfMaps || m.MapType == results.MapTypeHashOfMaps {
			s.addInner(m, o.names.text(&m.Name))
		}
	}
	return nil
}

// scanPrograms reads the programs, and what processes hold.
func (o *Owners) scanPrograms(s *liveScan) error {
	type open struct {
		id   uint32
		file uint64
	}
	files := map[open]bool{}
	if !o.inventory.SeesHolders() {
		s.unread = append(s.unread, "file descriptors: "+NoAddresses())
	} else if !o.inventory.SeesMappings() {
		s.unread = append(s.unread, "mappings: this kernel doesn't list them (5.12 does)")
	}
	if err := o.inventory.Holders(func(h *probes.HolderItem) {
		by := inventory.Holder{Kind: inventory.FD, Comm: o.names.text(&h.Comm), PID: h.Tgid, FD: h.Fd}
		f := open{h.Id, h.File}
		switch {
		case h.Kind == probes.HolderMapping && files[f]:
			return // a descriptor or another mapping of the same file: one reference
		case h.Kind == probes.HolderMapping:
			by.Kind, by.FD = inventory.Mapping, 0
		case h.Kind == probes.HolderIterator:
			by.Kind = inventory.Iterator
		case h.Kind != probes.HolderMap:
			s.loaders[h.Id] = by
			return
		}
		s.holders[h.Id] = append(s.holders[h.Id], by)
		if !files[f] {
			files[f] = true
			s.named[h.Id]++
		}
	}); err != nil {
		return err
	}
	return o.inventory.Programs(func(p *probes.ProgramItem) { s.programs = append(s.programs, *p) })
}

// add names one reference of a map.
func (s *liveScan) add(id uint32, by inventory.Holder) {
	s.holders[id] = append(s.holders[id], by)
	s.named[id]++
}

// inventoryOf sums up a scan; held has what is in limbo.
func (o *Owners) inventoryOf(s *liveScan, held inventory.Held) *inventory.Maps {
	all := &inventory.Maps{Held: held, Excluded: map[string]uint64{}, Unread: s.unread}
	var maps []inventory.Map
	sums := map[inventory.Holder]*inventory.Sum{} // by kind and name
	for i := range s.maps {
		m := &s.maps[i]
		if o.live.own[m.Id] {
			all.Excluded["own"]++
			continue
		}
		if !o.wantsLive(m, s.holders[m.Id]) {
			all.Excluded["filtered"]++
			continue
		}
		entry := o.liveMap(m, s)
		all.Held.LiveMaps++
		all.Held.LiveBytes += entry.Bytes
		key := holderKey(entry.Holders)
		if sums[key] == nil {
			sums[key] = &inventory.Sum{}
		}
		sums[key].Add(entry.Bytes)
		maps = append(maps, entry)
	}
	if n := len(all.Unread); n > maxUnread {
		all.Unread = append(slices.Clone(all.Unread[:maxUnread]), fmt.Sprintf("and %d more", n-maxUnread))
	}
	slices.SortFunc(maps, func(a, b inventory.Map) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.ID, b.ID))
	})
	for i := range maps {
		if i >= inventory.MaxMaps {
			all.Others.Add(maps[i].Bytes)
			continue
		}
		m := maps[i]
		if n := len(m.Holders); n > inventory.MaxHolders {
			m.Holders, m.MoreHolders = slices.Clone(m.Holders[:inventory.MaxHolders]), uint64(n-inventory.MaxHolders)
		}
		all.Top = append(all.Top, m)
	}
	all.Holders = holderSums(sums)
	return all
}

// liveMap is one map with its holders, those of the first kinds first.
func (o *Owners) liveMap(m *probes.MapItem, s *liveScan) inventory.Map {
	holders := s.holders[m.Id]
	order := inventory.Kinds()
	slices.SortStableFunc(holders, func(a, b inventory.Holder) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	entry := inventory.Map{
		ID: m.Id, Name: o.names.text(&m.Name), Type: results.MapTypeNumbered(m.MapType).Display, Bytes: o.bytesOf(m),
		Holders: holders, References: m.Refs,
	}
	if s.unread == nil {
		entry.Unaccounted = m.Refs - min(m.Refs, s.named[m.Id])
	}
	return entry
}

// bytesOf is the memory of a live map, 0 for a type without a formula.
func (o *Owners) bytesOf(m *probes.MapItem) uint64 {
	if o.live.memory == nil { // nobody asks for it
		return 0
	}
	return o.live.memory.bytes(&probes.DeathEvent{
		MapType: m.MapType, MapFlags: m.MapFlags, KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries,
		ExtraElems: m.ExtraElems, Elements: m.Elements, MemoryPages: uint64(m.MemoryPages),
	})
}

func (o *Owners) wantsLive(m *probes.MapItem, holders []inventory.Holder) bool {
	if o.live.wanted == nil {
		return true
	}
	c := Candidate{Name: o.names.text(&m.Name), Type: results.MapTypeNumbered(m.MapType).Display, Holders: holders}
	if o.live.byOwner {
		by := o.live.ownerAt(m.Address)
		c.Creator, c.CreatorExe, c.InTree = o.names.text(&by.CreatorComm), o.exe(&by), by.Flags&probes.OwnerInTree != 0
		c.Cgroup = o.cgroups.path(by.CreatorCgroup)
	}
	return o.live.wanted(&c)
}

// holderKey is for whom a map counts.
func holderKey(holders []inventory.Holder) inventory.Holder {
	if len(holders) == 0 {
		return inventory.Holder{Kind: inventory.None}
	}
	h := holders[0]
	key := inventory.Holder{Kind: h.Kind, Name: h.Name}
	switch h.Kind {
	case inventory.FD, inventory.Mapping, inventory.Iterator:
		key.Name = h.Comm
	case inventory.Pin:
		key.Name = path.Dir(h.Name)
	case inventory.Outer:
		key.Name = cmp.Or(h.Name, fmt.Sprintf("map %d", h.ID))
	case inventory.Program:
		if h.Comm != "" {
			key.Name += " of " + h.Comm
		}
	}
	return key
}

// holderSums are the rows with the most memory first, and what all others add up to.
func holderSums(sums map[inventory.Holder]*inventory.Sum) []inventory.HolderSum {
	var out []inventory.HolderSum
	for key, sum := range sums {
		out = append(out, inventory.HolderSum{Kind: key.Kind, Name: key.Name, Maps: sum.Maps, Bytes: sum.Bytes})
	}
	slices.SortFunc(out, func(a, b inventory.HolderSum) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Maps, a.Maps), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	if len(out) > inventory.MaxMaps {
		others := inventory.HolderSum{Kind: inventory.Others}
		for _, h := range out[inventory.MaxMaps:] {
			others.Maps, others.Bytes = others.Maps+h.Maps, others.Bytes+h.Bytes
		}
		out = append(out[:inventory.MaxMaps:inventory.MaxMaps], others)
	}
	return out
}
