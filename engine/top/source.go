// SPDX-License-Identifier: Apache-2.0

//go:build linux

package top

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/live"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// source is the live.Source of this kernel.
type source struct {
	others *trial.Others
	sink   *sink
}

// attach begins to watch. The caller closes it.
func attach(ctx context.Context, filter workloads.Filter, window time.Duration) (*source, error) {
	s := &source{sink: &sink{window: live.NewWindow(window, ktime.Now()), told: make(chan *live.Snapshot, 1)}}
	others, err := trial.WatchOthers(ctx, filter, trial.DefaultOptions(), s.sink)
	var unsupported *probes.UnsupportedError
	if errors.As(err, &unsupported) {
		return nil, errors.New(strings.Replace(err.Error(), "--target vm", "mapprof record --target vm", 1))
	}
	s.others = others
	return s, err
}

// Warnings implements live.Source.
func (s *source) Warnings() []string { return s.others.Warnings }

// Watch implements live.Source.
func (s *source) Watch(ctx context.Context, l live.Limits, each func(*live.Snapshot) error) error {
	var over <-chan time.Time
	if l.Duration > 0 {
		t := time.NewTimer(l.Duration)
		defer t.Stop()
		over = t.C
	}
	tick := time.NewTicker(l.Interval)
	defer tick.Stop()
	for told := 1; ; told++ {
		select {
		case <-ctx.Done():
			return s.finish(ctx, l, each)
		case <-over:
			return s.finish(ctx, l, each)
		case <-tick.C:
		}
		if told == l.Count {
			return s.finish(ctx, l, each)
		}
		s.sink.asked.Store(true)
		select {
		case snap := <-s.sink.told:
			if err := each(snap); err != nil {
				return err
			}
		case <-s.others.Ask():
			return s.finish(ctx, l, each) // which says why
		}
	}
}

// finish ends the watching.
func (s *source) finish(ctx context.Context, l live.Limits, each func(*live.Snapshot) error) error {
	s.sink.asked.Store(true)
	if err := s.others.Finish(context.WithoutCancel(ctx), l.Drain); err != nil {
		return err
	}
	for {
		select {
		case snap := <-s.sink.told:
			if snap.Final {
				return each(snap)
			}
		default:
			return errors.New("the last sweep told nothing")
		}
	}
}

// Close detaches everything.
func (s *source) Close() error { return s.others.Close() }

// sink is the collect.Sink. Its window is the collector's goroutine's.
type sink struct {
	window *live.Window
	asked  atomic.Bool
	told   chan *live.Snapshot
}

// Death implements collect.Sink.
func (s *sink) Death(d *results.Death) error { return s.window.Add(d) }

// Wait implements collect.Sink.
func (s *sink) Wait(collect.Wait) error { return nil }

// Sweep implements collect.Sink. It tells of those that were asked for.
func (s *sink) Sweep(o *collect.Outcome) error {
	if !s.asked.Swap(false) && !o.Final {
		return nil
	}
	snap := s.window.Snapshot(&live.State{
		AtNS: o.AtNS, Pending: o.Pending, Lost: o.Lost, Loss: o.Loss, Excluded: o.Excluded, Stacks: o.Stacks, Final: o.Final,
	})
	select {
	case <-s.told: // nobody took it
	default:
	}
	s.told <- snap
	return nil
}
