// SPDX-License-Identifier: Apache-2.0

//go:build linux

package probes

import (
	"errors"
	"testing"

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
		got, err := inFlight(func(uint64) Owner { return Owner{} }, tt.lives, tt.freeing)
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
