// SPDX-License-Identifier: Apache-2.0

package workloads

// Death is what an Instance is told of the death of one of its maps.
type Death struct {
	MapID          uint32
	PutNS, FreedNS int64    // CLOCK_MONOTONIC
	Comm           string   // of who dropped the last reference
	Stack          []string // its functions, innermost first; empty: not known
}

// Concluded is an Instance whose figures need the deaths of its maps. It keeps few: all
// of them are in memory.
type Concluded interface {
	Instance
	// Conclude adds to its result what the deaths tell. It comes once, after Run, when
	// all are known or have been given up.
	Conclude(deaths []Death, r *Result)
}

// Inquiring is an Instance that asks who holds its maps. SetHolders comes before Run;
// why it can't be asked is told instead of it.
type Inquiring interface {
	Instance
	SetHolders(ask func(mapID uint32) (Holding, error), why error)
}

// Holding is who holds a map at one moment.
type Holding struct {
	There   bool // the map has a reference
	Holders []Holder
	// References are all, Unaccounted those without a holder.
	References, Unaccounted uint64
	// Unread says which holders can't be looked for; then Unaccounted is not known.
	Unread []string
}

// Holder is one that holds a map.
type Holder struct {
	Kind string // as results/inventory has it
	Text string // who it is
}

// Naming is an Instance that has the names of addresses in the kernel. SetNames comes
// before Run. The names are read when name is called: what was loaded after that has
// none.
type Naming interface {
	Instance
	SetNames(name func(addrs []uint64) ([]string, error))
}
