// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"context"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/workloads"
)

// Span is a system call, by CLOCK_MONOTONIC in nanoseconds.
type Span struct{ Begin, End int64 }

// Timed runs f and says when.
func Timed(f func() error) (Span, error) {
	begin := ktime.Now()
	err := f()
	return Span{begin, ktime.Now()}, err
}

// NS is how long it took.
func (s Span) NS() float64 { return float64(s.End - s.Begin) }

// Has tells whether a call in the kernel was within it, on that thread (0: on any).
func (s Span) Has(c workloads.Call, tid int) bool {
	return c.BeginNS >= s.Begin && c.EndNS <= s.End && (tid == 0 || c.TID == tid)
}

// InTurn lets so many maps die, one after the other, each by a call of one, whose span is
// the operation's. It ends early when ctx is done.
func InTurn(ctx context.Context, count uint32, r *workloads.Result, progress func(done, total uint64), record func(ns int64), one func(n uint64) (Span, error)) error {
	for r.Ops < uint64(count) {
		if ctx.Err() != nil {
			r.Interrupted = true
			return nil
		}
		took, err := one(r.Ops)
		if err != nil {
			return err
		}
		record(took.End - took.Begin)
		r.LastPuts++
		r.Ops++
		progress(r.Ops, uint64(count))
	}
	return nil
}
