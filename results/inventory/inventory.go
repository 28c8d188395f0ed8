// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"fmt"
	"slices"
)

// Bounds on what an inventory lists; what is beyond them is counted.
const (
	MaxMaps    = 256 // maps, and rows of holders
	MaxHolders = 8   // of one map
)

// Kinds of what holds a map.
const (
	FD       = "fd"        // a file descriptor of a process
	Mapping  = "mapping"   // memory of a process that the map is mapped to, without a descriptor
	Iterator = "iterator"  // a descriptor of a link that iterates over its elements
	Program  = "program"   // a BPF program that uses it
	Pin      = "pin"       // a file in a bpffs
	Outer    = "outer map" // a map of maps that it is in
	None     = "none"      // nothing that could be seen
	Others   = "others"    // all holders without a row
)

// kinds are all, in the order in which a map is counted for one of them.
var kinds = []string{FD, Mapping, Iterator, Pin, Program, Outer, None, Others}

// Kinds are the kinds of holders. A map of several counts for the first.
func Kinds() []string { return slices.Clone(kinds) }

// Live are a recording's: the maps that were alive when it began and when
// it ended.
type Live struct {
	Start Maps  `json:"start"`
	End   *Maps `json:"end,omitempty"` // nil: it was cut off before
	// Peak is the moment of the largest total among Looks, about one a second: what came
	// and went between them is not in it.
	Peak  Held   `json:"peak"`
	Looks uint64 `json:"looks"`
}

// Held is what maps hold at one moment: those that are alive, and those in limbo.
type Held struct {
	AtNS       int64  `json:"at_ns"` // the target's ktime
	LiveMaps   uint64 `json:"live_maps"`
	LiveBytes  uint64 `json:"live_bytes"`
	LimboMaps  uint64 `json:"limbo_maps"`
	LimboBytes uint64 `json:"limbo_bytes"`
}

// Bytes is the total.
func (h Held) Bytes() uint64 { return h.LiveBytes + h.LimboBytes }

// Maps are the maps that are alive at one moment, and who holds them.
type Maps struct {
	Held Held `json:"held"`
	// TookNS is how long it took to look.
	TookNS int64 `json:"took_ns"`
	// Excluded counts the live maps that are not among them: mapprof's own, and those
	// that were filtered.
	Excluded map[string]uint64 `json:"excluded,omitempty"`
	// Unread says which holders could not be looked for. Without any a map without a
	// holder has none that can be seen.
	Unread []string `json:"unread,omitempty"`
	// Top are the largest, Others what all others add up to.
	Top    []Map `json:"top"`
	Others Sum   `json:"others"`
	// Holders are who holds how much. Each map counts once: for the first of its
	// holders, in the order of Kinds.
	Holders []HolderSum `json:"holders"`
}

// Sum is a number of maps and their memory.
type Sum struct {
	Maps  uint64 `json:"maps"`
	Bytes uint64 `json:"bytes"`
}

// Map is a map that is alive.
type Map struct {
	ID      uint32   `json:"id"`
	Name    string   `json:"name,omitempty"`
	Type    string   `json:"type"`
	Bytes   uint64   `json:"bytes"` // computed; 0 for a type without a formula
	Holders []Holder `json:"holders,omitempty"`
	// MoreHolders are not listed.
	MoreHolders uint64 `json:"more_holders,omitempty"`
	References  uint64 `json:"references"`
	// Unaccounted is how many of the references no holder was found for.
	Unaccounted uint64 `json:"unaccounted,omitempty"`
}

// Holder is one that holds a map.
type Holder struct {
	Kind string `json:"kind"`
	// Name is of the program or the outer map, or the path of the pin.
	Name string `json:"name,omitempty"`
	ID   uint32 `json:"id,omitempty"` // of the program or the outer map
	// Comm and PID are of the process; a program's is one that holds it, if only by a link.
	Comm string `json:"comm,omitempty"`
	PID  uint32 `json:"pid,omitempty"`
	FD   uint32 `json:"fd,omitempty"`
}

// HolderSum is what the maps of one holder add up to.
type HolderSum struct {
	Kind string `json:"kind"`
	// Name is a process's comm (of a descriptor or a mapping), a program's name, a pin's directory, an outer map's
	// name.
	Name  string `json:"name,omitempty"`
	Maps  uint64 `json:"maps"`
	Bytes uint64 `json:"bytes"`
}

// Fault is what can't be in a file's inventories.
type Fault struct {
	Field string // its path
	What  string // what is wrong with it
}

// Check says what can't be: lists are bounded and add up, and nothing is accounted for
// twice. nil: nothing is wrong.
func (l *Live) Check() *Fault {
	if f := l.Start.check("start"); f != nil {
		return f
	}
	if l.End != nil {
		if f := l.End.check("end"); f != nil {
			return f
		}
	}
	return l.Peak.check("peak")
}

// maxBytes bounds what is added up, so that no sum overflows.
const maxBytes = 1 << 62

func (h Held) check(path string) *Fault {
	if h.LiveBytes > maxBytes || h.LimboBytes > maxBytes-h.LiveBytes {
		return &Fault{path + ".live_bytes", fmt.Sprintf("%d, and %d in limbo", h.LiveBytes, h.LimboBytes)}
	}
	return nil
}

func (l *Maps) check(path string) *Fault {
	if f := l.Held.check(path + ".held"); f != nil {
		return f
	}
	if n := len(l.Top); n > MaxMaps {
		return &Fault{path + ".top", fmt.Sprintf("%d maps, more than %d", n, MaxMaps)}
	}
	if n := len(l.Holders); n > MaxMaps+1 {
		return &Fault{path + ".holders", fmt.Sprintf("%d, more than %d", n, MaxMaps+1)}
	}
	top, held := l.Others, Sum{}
	for i := range l.Top {
		m, at := &l.Top[i], fmt.Sprintf("%s.top[%d]", path, i)
		if m.Unaccounted > m.References {
			return &Fault{at + ".unaccounted", fmt.Sprintf("%d of %d references", m.Unaccounted, m.References)}
		}
		if n := len(m.Holders); n > MaxHolders {
			return &Fault{at + ".holders", fmt.Sprintf("%d, more than %d", n, MaxHolders)}
		}
		top.add(1, m.Bytes)
	}
	for _, h := range l.Holders {
		held.add(h.Maps, h.Bytes)
	}
	whole := Sum{l.Held.LiveMaps, l.Held.LiveBytes}
	for _, sum := range []struct {
		field string
		Sum
	}{{".top", top}, {".holders", held}} {
		if sum.Sum != whole {
			return &Fault{path + sum.field, fmt.Sprintf("%d maps of %d bytes, and there are %d of %d bytes", sum.Maps, sum.Bytes, whole.Maps, whole.Bytes)}
		}
	}
	return nil
}

// Add adds a map.
func (s *Sum) Add(bytes uint64) { s.add(1, bytes) }

func (s *Sum) add(maps, bytes uint64) { s.Maps, s.Bytes = capped(s.Maps, maps), capped(s.Bytes, bytes) }

// capped is a sum of what a file says.
func capped(a, b uint64) uint64 { return min(a, 2*maxBytes) + min(b, 2*maxBytes-min(a, 2*maxBytes)) }
