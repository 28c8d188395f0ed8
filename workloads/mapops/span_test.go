// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"context"
	"errors"
	"testing"

	"github.com/mapprof/mapprof/workloads"
)

// TestInTurn: each map is an operation and a last put; the loop ends at its count, early
// when its context is done, and at an error, which is not counted.
func TestInTurn(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		stopAt, breakAt, want uint64
		interrupted           bool
		err                   error
	}{{9, 9, 5, false, nil}, {3, 9, 3, true, nil}, {9, 2, 2, false, broken}} {
		ctx, cancel := context.WithCancel(t.Context())
		var r workloads.Result
		var recorded, told uint64
		err := InTurn(ctx, 5, &r, func(done, _ uint64) {
			if told = done; done == tt.stopAt {
				cancel()
			}
		}, func(ns int64) { recorded += uint64(ns) }, func(n uint64) (Span, error) {
			if n == tt.breakAt {
				return Span{}, broken
			}
			return Span{10, 17}, nil
		})
		cancel()
		if !errors.Is(err, tt.err) || r.Ops != tt.want || r.LastPuts != tt.want || told != tt.want || recorded != 7*tt.want || r.Interrupted != tt.interrupted {
			t.Errorf("%+v: %v, %+v, told %d, recorded %d", tt, err, r, told, recorded)
		}
	}
}
