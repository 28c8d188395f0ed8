// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
)

// listed is an iterator over puts, which ends with err.
type listed struct {
	puts []uint64
	err  error
}

func (l *listed) Next(key, value any) bool {
	if len(l.puts) == 0 {
		return false
	}
	life := DeathEvent{Kind: KindDeath, PutNs: l.puts[0], MapId: uint32(l.puts[0]), Confirmed: 1}
	switch v := value.(type) {
	case *DeathEvent:
		*v, *key.(*uint64) = life, l.puts[0]
	case *lifecycleFreeing:
		v.Life.Death, *key.(*uint32) = life, uint32(l.puts[0])
	}
	l.puts = l.puts[1:]
	return true
}

func (l *listed) Err() error { return l.err }

// passes gives one iterator after the other, and the last one again.
func passes(list ...*listed) func() tableIterator {
	return func() tableIterator {
		next := *list[0]
		if len(list) > 1 {
			list = list[1:]
		}
		return &next
	}
}

// none are tables without a death.
func none() *tables {
	return &tables{
		seat: seated(), lives: passes(&listed{}), freeing: passes(&listed{}),
		desk: func(int) (d lifecycleFreeing, err error) { return d, nil },
		again: func(tid uint32, to *lifecycleFreeing) error {
			to.Life.Death = DeathEvent{Kind: KindDeath, PutNs: uint64(tid), MapId: tid, Confirmed: 1}
			return nil
		},
		owner: func(uint64) Owner { return Owner{} },
	}
}

// A worker at its desk has its map in the seat, too, until the free has begun; a desk that
// is written meanwhile counts as it is afterwards.
func TestInFlightDesks(t *testing.T) {
	desk := func(changes uint32, put uint64) (d lifecycleFreeing) {
		d.Tid, d.Changes = 77, changes
		if put != 0 {
			d.Map, d.Life.Death = 16, DeathEvent{Kind: KindDeath, PutNs: put, MapId: uint32(put), Confirmed: 1}
		}
		return d
	}
	for _, tt := range []struct {
		name   string
		copies []lifecycleFreeing
		want   uint64 // 0: none
	}{
		{"frees one", []lifecycleFreeing{desk(2, 7), desk(2, 7)}, 7},
		{"frees none", []lifecycleFreeing{desk(2, 0)}, 0},
		{"is written", []lifecycleFreeing{desk(1, 7), desk(1, 7), desk(2, 8), desk(2, 8)}, 8},
		{"ends meanwhile", []lifecycleFreeing{desk(2, 7), desk(4, 0), desk(4, 0)}, 0},
	} {
		from, copies := none(), tt.copies
		from.seat = seated(lifecycleSeat{Map: 16, Claims: 1, Life: DeathEvent{Kind: KindDeath, PutNs: tt.want, MapId: uint32(tt.want), Confirmed: uint16(min(1, tt.want))}})
		from.desk = func(i int) (d lifecycleFreeing, err error) {
			if i != desks-1 {
				return d, nil
			}
			d = copies[0]
			if len(copies) > 1 {
				copies = copies[1:]
			}
			return d, nil
		}
		got, err := inFlight(from)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if n := len(got); n != min(1, int(tt.want)) || n == 1 && (got[0].Death.PutNs != tt.want || got[0].Worker != 77) {
			t.Errorf("%s: %+v, want one that was put at %d", tt.name, got, tt.want)
		}
	}
}

// The arrays are as long here as in the programs, and their elements as large.
func TestArrays(t *testing.T) {
	spec, err := loadLifecycle()
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]uintptr{
		lifecycleVarSeats: seats * unsafe.Sizeof(lifecycleSeat{}), lifecycleVarDesks: desks * unsafe.Sizeof(lifecycleFreeing{}),
	} {
		if got := spec.Variables[name].Size(); uintptr(got) != size {
			t.Errorf("%s has %d bytes, want %d", name, got, size)
		}
	}
}

// seated gives copies of the first seat, one after the other and the last again; all
// others are free.
func seated(copies ...lifecycleSeat) func(i int) (lifecycleSeat, error) {
	return func(i int) (s lifecycleSeat, err error) {
		if i != 0 || len(copies) == 0 {
			return s, nil
		}
		s = copies[0]
		if len(copies) > 1 {
			copies = copies[1:]
		}
		return s, nil
	}
}

// A seat is copied while programs write it: the copy counts only when the next one is the
// same. A death in a seat and with a worker is one.
func TestInFlightSeats(t *testing.T) {
	seat := func(address, put uint64, confirmed uint16) (s lifecycleSeat) {
		s.Map, s.Claims, s.Life = address, 1, DeathEvent{Kind: KindDeath, PutNs: put, MapId: uint32(put), Confirmed: confirmed}
		return s
	}
	for _, tt := range []struct {
		name    string
		copies  []lifecycleSeat
		freeing []uint64
		want    uint64 // 0: none
	}{
		{"free", nil, nil, 0},
		{"unchanged", []lifecycleSeat{seat(16, 7, 1)}, nil, 7},
		{"perhaps no last put", []lifecycleSeat{seat(16, 7, 0)}, nil, 0},
		{"torn", []lifecycleSeat{seat(16, 7, 1), seat(32, 8, 1), seat(32, 9, 1)}, nil, 9},
		{"left meanwhile", []lifecycleSeat{seat(16, 7, 1), {}}, nil, 0},
		{"left for another", []lifecycleSeat{seat(16, 7, 1), seat(32, 8, 0)}, nil, 0},
		{"with a worker, too", []lifecycleSeat{seat(16, 7, 1)}, []uint64{7}, 7},
	} {
		from := none()
		from.seat, from.freeing = seated(tt.copies...), passes(&listed{puts: tt.freeing})
		got, err := inFlight(from)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if n := len(got); n != min(1, int(tt.want)) || n == 1 && got[0].Death.PutNs != tt.want {
			t.Errorf("%s: %+v, want one that was put at %d", tt.name, got, tt.want)
		}
	}
	broken := errors.New("broken")
	for _, from := range []*tables{
		{seat: func(int) (s lifecycleSeat, err error) { return s, broken }},
		{seat: seated(), lives: passes(&listed{}), desk: func(int) (d lifecycleFreeing, err error) { return d, broken }},
	} {
		if _, err := inFlight(from); !errors.Is(err, broken) {
			t.Errorf("broken: %v", err)
		}
	}
}

func TestInFlightWhileDeathsEnd(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name           string
		lives, freeing func() tableIterator
		want           []uint64
		err            error
	}{
		{"nothing", passes(&listed{}), passes(&listed{}), nil, nil},
		{"begun again", passes(&listed{puts: []uint64{1, 2, 3, 2, 3, 4}}), passes(&listed{}), []uint64{1, 2, 3, 4}, nil},
		{"in both", passes(&listed{puts: []uint64{1, 2}}), passes(&listed{puts: []uint64{2, 3}}), []uint64{1, 2, 3}, nil},
		{"aborted", passes(&listed{[]uint64{1, 2, 1}, ebpf.ErrIterationAborted}, &listed{puts: []uint64{2, 3}}), passes(&listed{}), []uint64{1, 2, 3}, nil},
		{"aborted always", passes(&listed{[]uint64{1}, ebpf.ErrIterationAborted}), passes(&listed{}), []uint64{1}, nil},
		{"broken", passes(&listed{err: broken}), passes(&listed{}), nil, broken},
		{"broken workers", passes(&listed{}), passes(&listed{err: broken}), nil, broken},
	} {
		from := none()
		from.lives, from.freeing = tt.lives, tt.freeing
		got, err := inFlight(from)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %d deaths, want %d", tt.name, len(got), len(tt.want))
			continue
		}
		for i := range got {
			if got[i].Death.PutNs != tt.want[i] {
				t.Errorf("%s: death %d was put at %d, want %d", tt.name, i, got[i].Death.PutNs, tt.want[i])
			}
		}
	}
}

// An entry is copied while its worker writes it: the copy counts only when it didn't
// change before the next one, and not at all where its death has ended.
func TestWholeEntry(t *testing.T) {
	entry := func(changes uint32, put uint64) (e lifecycleFreeing) {
		e.Changes, e.Life.Death = changes, DeathEvent{Kind: KindDeath, PutNs: put}
		return e
	}
	for _, tt := range []struct {
		name   string
		copies []lifecycleFreeing
		want   uint64 // 0: it is gone
	}{
		{"unchanged", []lifecycleFreeing{entry(2, 7), entry(2, 7)}, 7},
		{"changed once", []lifecycleFreeing{entry(2, 7), entry(4, 8), entry(4, 8)}, 8},
		{"being written", []lifecycleFreeing{entry(3, 7), entry(3, 7), entry(4, 8), entry(4, 8)}, 8},
		{"gone", []lifecycleFreeing{entry(2, 7)}, 0},
		{"gone while written", []lifecycleFreeing{entry(2, 7), entry(3, 7)}, 0},
	} {
		rest := tt.copies[1:]
		worker := tt.copies[0]
		ok := whole(&worker, func(to *lifecycleFreeing) error {
			if len(rest) == 0 {
				return ebpf.ErrKeyNotExist
			}
			*to, rest = rest[0], rest[1:]
			return nil
		})
		if ok != (tt.want != 0) || ok && worker.Life.Death.PutNs != tt.want {
			t.Errorf("%s: %v, put at %d, want %d", tt.name, ok, worker.Life.Death.PutNs, tt.want)
		}
	}
}
