// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"
	"errors"
	"strings"
	"testing"
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
		side := func(name string, s *series) func(uint64) error {
			return func(until uint64) error {
				return s.extend(context.Background(), until, func() (int64, int, error) {
					log.WriteString(name)
					return 50, tt.batch, nil
				}, func(int) {})
			}
		}
		var alone, probed series
		if err := inTurns(context.Background(), loggedProbe{log: &log}, tt.count, side("A", &alone), side("P", &probed)); err != nil {
			t.Fatal(err)
		}
		if alone.ops != probed.ops || alone.ops < tt.count || alone.ops >= tt.count+uint64(tt.batch) {
			t.Errorf("%s: %d operations of %d without, %d with", tt.name, alone.ops, tt.count, probed.ops)
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
	var alone, probed series
	take := func() (int64, int, error) {
		if alone.ops+probed.ops == 100 {
			stop()
		}
		return 1, 1, nil
	}
	side := func(s *series) func(uint64) error {
		return func(until uint64) error { return s.extend(ctx, until, take, func(int) {}) }
	}
	if err := inTurns(ctx, loggedProbe{log: &log}, 1000, side(&alone), side(&probed)); err != nil {
		t.Fatal(err)
	}
	if alone.ops+probed.ops != 101 || log.String() != "+" {
		t.Errorf("%d and %d operations, %q", alone.ops, probed.ops, log.String())
	}
}

// A machine that gets slower all the while adds the same to both sides.
func TestInTurnsIsFair(t *testing.T) {
	clock := int64(0)
	take := func(cost int64) func() (int64, int, error) {
		return func() (int64, int, error) { clock++; return cost + clock, 1, nil }
	}
	var alone, probed series
	ctx, step := context.Background(), func(int) {}
	err := inTurns(ctx, loggedProbe{log: &strings.Builder{}}, 4000,
		func(until uint64) error { return alone.extend(ctx, until, take(1000), step) },
		func(until uint64) error { return probed.extend(ctx, until, take(1100), step) })
	if err != nil {
		t.Fatal(err)
	}
	// By 8000 in all: one side after the other would be 4000 off.
	if cost := medianOf(probed.values) - medianOf(alone.values); cost < 90 || cost > 110 {
		t.Errorf("the probe costs %v, want 100", cost)
	}
}
