// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// recordedRun runs a churn as a program of its own, as an agent is, beside what a
// recording attaches, or beside nothing.
func recordedRun(ctx context.Context, c *watchedChurn, without bool) (r watchedRound, err error) {
	time.Sleep(500 * time.Millisecond) // as watchedRun
	dir, err := os.MkdirTemp("", "agent-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if without {
		return agentRun(ctx, c, dir)
	}
	seen := &recordedSink{}
	others, err := trial.WatchOthers(ctx, workloads.Filter{Comms: []string{agentComm}}, trial.DefaultOptions(), seen)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, others.Close()) }()
	// A recording reads what there is once a second.
	asking, stop := context.WithCancel(ctx)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for tick := time.NewTicker(time.Second); ; others.Ask() {
			select {
			case <-tick.C:
			case <-asking.Done():
				tick.Stop()
				return
			}
		}
	}()
	r, err = agentRun(ctx, c, dir)
	stop()
	<-asked
	if err != nil {
		return r, err
	}
	if err := others.Finish(ctx, trial.DefaultOptions().DrainTimeout); err != nil {
		return r, err
	}
	o := seen.last
	r.Puts, r.Freed, r.Lost = o.Puts, o.Freed, o.Lost+o.InFlight
	if o.Puts < r.Ops*c.Batch || o.Puts != o.Freed+o.Lost+o.InFlight {
		return r, fmt.Errorf("of %d operations %d puts = %d freed + %d in flight + %d lost were recorded", r.Ops, o.Puts, o.Freed, o.InFlight, o.Lost)
	}
	return r, nil
}

// agentComm is the name of the agent's threads: that of /proc/self/exe.
const agentComm = "exe"

// agentRun runs this same program as an agent that churns, and says what it did.
func agentRun(ctx context.Context, c *watchedChurn, dir string) (r watchedRound, err error) {
	out := filepath.Join(dir, "run")
	args := []string{"run", "--target", "local", "--no-probes", "--strategy", c.Strategy, "-o", out}
	for _, name := range slices.Sorted(maps.Keys(c.Params)) {
		args = append(args, "--"+name, c.Params[name])
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return r, fmt.Errorf("run the agent: %w: %s", err, text)
	}
	d, err := results.Open(out)
	if err != nil {
		return r, err
	}
	t := &d.Run.Scenarios[0].Trials[0]
	return watchedRound{Ops: t.Ops, DurationNS: t.DurationNS, MedianNS: t.Phases[results.PhaseOp].P50NS}, nil
}

// recordedSink keeps the last that was told.
type recordedSink struct{ last *collect.Outcome }

// Death implements collect.Sink.
func (s *recordedSink) Death(*results.Death) error { return nil }

// Wait implements collect.Sink.
func (s *recordedSink) Wait(collect.Wait) error { return nil }

// Sweep implements collect.Sink.
func (s *recordedSink) Sweep(o *collect.Outcome) error {
	s.last = o
	return nil
}
