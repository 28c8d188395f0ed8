// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/median"
)

// loggedProbe writes down when it comes and goes.
type loggedProbe struct {
	log    *strings.Builder
	broken error
}

func (p loggedProbe) Attach() error { p.log.WriteString("+"); return p.broken }
func (p loggedProbe) Detach() error { p.log.WriteString("-"); return nil }

func TestInTurns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		count uint64
		batch int
	}{
		{"even", 40, 10},
		{"uneven", 42, 10},
		{"one batch is more than all", 3, 10},
		{"nothing", 0, 10},
	} {
		var log strings.Builder
		side := func(name string, s *Series) func(uint64) error {
			return func(until uint64) error {
				return s.extend(context.Background(), until, func() (int64, int, error) {
					log.WriteString(name)
					return 50, tt.batch, nil
				}, func(int) {})
			}
		}
		var alone, probed Series
		if err := inTurns(context.Background(), loggedProbe{log: &log}, tt.count, side("A", &alone), side("P", &probed)); err != nil {
			t.Fatal(err)
		}
		if alone.Ops != probed.Ops || alone.Ops < tt.count || alone.Ops >= tt.count+uint64(tt.batch) {
			t.Errorf("%s: %d operations of %d without, %d with", tt.name, alone.Ops, tt.count, probed.Ops)
		}
		for _, v := range append(alone.values, probed.values...) {
			if v != 5 {
				t.Errorf("%s: 10 operations in 50 ns cost %v each", tt.name, v)
			}
		}
		attached := true // as inTurns finds it
		for _, c := range log.String() {
			switch c {
			case '+', '-':
				attached = c == '+'
			case 'A', 'P':
				if attached != (c == 'P') {
					t.Errorf("%s: %q was done with the probe in the other state", tt.name, log.String())
				}
			}
		}
	}
}

func TestInTurnsEndsWithTheFirstError(t *testing.T) {
	broken, none := errors.New("broken"), func(uint64) error { return nil }
	for name, err := range map[string]error{
		"attach":  inTurns(context.Background(), loggedProbe{log: &strings.Builder{}, broken: broken}, 8, none, none),
		"without": inTurns(context.Background(), loggedProbe{log: &strings.Builder{}}, 8, func(uint64) error { return broken }, none),
		"with":    inTurns(context.Background(), loggedProbe{log: &strings.Builder{}}, 8, none, func(uint64) error { return broken }),
	} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInTurnsStopsWhenInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var log strings.Builder
	var alone, probed Series
	take := func() (int64, int, error) {
		if alone.Ops+probed.Ops == 100 {
			stop()
		}
		return 1, 1, nil
	}
	side := func(s *Series) func(uint64) error {
		return func(until uint64) error { return s.extend(ctx, until, take, func(int) {}) }
	}
	if err := inTurns(ctx, loggedProbe{log: &log}, 1000, side(&alone), side(&probed)); err != nil {
		t.Fatal(err)
	}
	if alone.Ops+probed.Ops != 101 || log.String() != "+" {
		t.Errorf("%d and %d operations, %q", alone.Ops, probed.Ops, log.String())
	}
}

// A machine that gets slower all the while adds the same to both sides.
func TestInTurnsIsFair(t *testing.T) {
	clock := int64(0)
	take := func(cost int64) func() (int64, int, error) {
		return func() (int64, int, error) { clock++; return cost + clock, 1, nil }
	}
	var alone, probed Series
	ctx, step := context.Background(), func(int) {}
	err := inTurns(ctx, loggedProbe{log: &strings.Builder{}}, 4000,
		func(until uint64) error { return alone.extend(ctx, until, take(1000), step) },
		func(until uint64) error { return probed.extend(ctx, until, take(1100), step) })
	if err != nil {
		t.Fatal(err)
	}
	// By 8000 in all: one side after the other would be 4000 off.
	if cost := median.Of(probed.values) - median.Of(alone.values); cost < 90 || cost > 110 {
		t.Errorf("the probe costs %v, want 100", cost)
	}
}

// Where a machine is at half its speed for some of the parts, the probe costs
// what it costs all the same, in each part.
func TestProbeCostInParts(t *testing.T) {
	now := 0
	take := func(cost float64) TimedBatch {
		return func() (int64, int, error) {
			now++
			if now > 30 && now <= 70 {
				return int64(2 * cost), 1, nil
			}
			return int64(cost), 1, nil
		}
	}
	var alone, probed Series
	ctx, step := context.Background(), func(int) {}
	if err := inTurns(ctx, loggedProbe{log: &strings.Builder{}}, 80,
		func(until uint64) error { return alone.extend(ctx, until, take(1000), step) },
		func(until uint64) error { return probed.extend(ctx, until, take(1100), step) }); err != nil {
		t.Fatal(err)
	}
	m := probeCost(probed, alone, "f")
	if len(m.Values) != 80 || !m.Difference {
		t.Fatalf("%+v", m)
	}
	for i, v := range m.Values {
		// The parts in which the speed changed have both.
		if part := i / 10; part != 1 && part != 3 && v != 100 && v != 200 {
			t.Errorf("part %d: %v, want 100, or 200 at half the speed", part, v)
		}
	}
	// Fewer batches than parts: the base is all of them.
	one, few := Series{values: []float64{8}, ends: []int{0, 1}}, Series{values: []float64{5, 7}, ends: []int{2, 2}}
	if m := probeCost(one, few, "f"); len(m.Values) != 1 || m.Values[0] != 2 {
		t.Errorf("%+v", m)
	}
}
