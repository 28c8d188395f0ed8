// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

// deathsFile is where single deaths go: into the run directory, or away by an
// uplink, in parts. The zero value keeps none. One goroutine at a time.
type deathsFile struct {
	dir    *results.Writer // nil: not there
	uplink task.Uplink
	keep   bool // by uplink
	part   io.WriteCloser
	lines  *results.DeathsWriter // of part
	// limit is how many are kept at most, 0: all; kept and notKept are how many were.
	limit, kept, notKept uint64
	log                  *histogramsFile // of the trial; nil: it is one interval
}

// newDeathsFile begins the one of a job that leaves a run directory.
func newDeathsFile(env *task.Env, j *Job, w *results.Writer) (*deathsFile, error) {
	f := &deathsFile{limit: j.DeathsLimit}
	if j.Interval > 0 {
		f.log = &histogramsFile{dir: w}
	}
	if env.Uplink != nil && !j.Quiet {
		if f.log != nil {
			f.log.uplink = env.Uplink
		}
		f.uplink, f.keep = env.Uplink, !j.NoDeaths
		return f, f.begin()
	}
	if !j.NoDeaths {
		f.dir = w
		return f, w.KeepDeaths()
	}
	return f, nil
}

func (f *deathsFile) death(d *results.Death) error {
	if f.limit > 0 && (f.part != nil || f.dir != nil) {
		if f.kept == f.limit {
			f.notKept++
			return nil
		}
		f.kept++
	}
	switch {
	case f.part != nil:
		return f.lines.Death(d)
	case f.dir != nil:
		return f.dir.Death(d)
	}
	return nil
}

// begin begins a part.
func (f *deathsFile) begin() (err error) {
	if !f.keep {
		return nil
	}
	if f.part, err = f.uplink.Part(results.DeathsFile); err != nil {
		return err
	}
	if f.lines == nil {
		f.lines, err = results.NewDeathsWriter(f.part)
		return err
	}
	f.lines.Reset(f.part)
	return nil
}

// end ends the part that is under way, if any: what comes is in another one.
func (f *deathsFile) end() error {
	if f.part == nil {
		return nil
	}
	err := errors.Join(f.lines.Close(), f.part.Close())
	f.part = nil
	return err
}

// list makes a run directory list the file, if it has left in parts. After end.
func (f *deathsFile) list(w *results.Writer) {
	if f.lines != nil {
		w.List(results.DeathsFile, f.lines.File())
	}
}

// sink is the collect.Sink of a trial.
type sink struct {
	sums *sums
	file *deathsFile
	keep bool // deaths and waits
	// so is the trial without what it will have given at its end.
	so      Measurement
	foreign bool          // a recording
	done    atomic.Uint64 // operations
	began   time.Time     // the measured part
	due     atomic.Bool   // a commit
	deaths  []results.Death
	waits   []collect.Wait
}

func newSink(m *Measurement, file *deathsFile) *sink {
	s := &sink{sums: m.sums, file: file, keep: m.Job.KeepEvents, so: *m, began: time.Now()}
	s.so.Warnings = append([]string(nil), m.Warnings...)
	return s
}

// Death implements collect.Sink.
func (s *sink) Death(d *results.Death) error {
	if err := s.sums.death(d); err != nil {
		return err
	}
	if s.keep {
		s.deaths = append(s.deaths, *d)
	}
	return s.file.death(d)
}

// Wait implements collect.Sink.
func (s *sink) Wait(w collect.Wait) error {
	if s.keep {
		s.waits = append(s.waits, w)
	}
	return s.sums.wait(w)
}

// Sweep implements collect.Sink.
func (s *sink) Sweep(o *collect.Outcome) error {
	if o.Final {
		return nil
	}
	s.sums.limbo.Advance(o.AtNS-unconfirmedNS, o.Pending)
	if s.file.uplink == nil && s.file.log == nil || !s.due.Load() {
		return nil
	}
	s.due.Store(false)
	if s.file.uplink == nil {
		m := s.so
		m.Measured, m.Drained = s.began, time.Now()
		return m.rotate()
	}
	return s.commit(o)
}

// commit sends what there is by the uplink, as a trial that got no further.
func (s *sink) commit(o *collect.Outcome) error {
	if err := s.file.end(); err != nil {
		return err
	}
	m := s.so
	m.Outcome, m.Measured, m.Duration, m.Drained = o, s.began, time.Since(s.began), time.Now()
	// What the workload counted is not known yet.
	m.Result = workloads.Result{Ops: s.done.Load(), LastPuts: o.Puts, Loop: loopOf(m.params), Interrupted: true}
	if s.foreign { // it has no operations
		m.Result.Ops, m.Result.Loop = 0, results.LoopOpen
	}
	dir := m.env.Dir + ".so-far"
	w, err := results.Create(dir)
	if err != nil {
		return err
	}
	defer w.Abort()
	s.file.list(w)
	if err := m.write(w); err != nil {
		return err
	}
	if err := s.file.uplink.Commit(dir); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(dir), s.file.begin())
}

// loopOf is the loop of a workload that has not told yet.
func loopOf(params map[string]string) string {
	if rate := params["rate"]; rate != "" && rate != "0" {
		return "open"
	}
	return "closed"
}

// follower lets a workload run no faster than its deaths are read. Its methods are
// called by the workload's goroutine; those of a nil follower do nothing.
type follower struct {
	sink      *sink
	collector *collect.Collector
	waited    time.Duration
	committed time.Duration // the last one asked for, since the begin
	every     time.Duration // between these reads
	live      bool          // deaths are to be read soon, however few
	read      time.Duration // the last time that they were, since the begin
}

// readEvery is how often a recording reads the deaths that there are: what user space
// knows of their owners is gone soon.
const readEvery = time.Second

const (
	// A ring buffer that is as full as tooFull is let run down to emptyEnough.
	tooFull, emptyEnough = 0.75, 0.5
)

// operated is called after each operation.
func (f *follower) operated(ctx context.Context, done uint64) {
	if f == nil {
		return
	}
	f.sink.done.Store(done)
	if f.collector.Busy() < tooFull {
		return
	}
	began := time.Now()
	for f.collector.Busy() > emptyEnough && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	f.waited += time.Since(began)
}

// commitEvery is how often a trial that runs sends what it has: it may be the last
// that is heard of it. A long one does it more seldom, so that all of it together
// is little.
const commitEvery = 5 * time.Second

// at is called after each operation, with the time since the begin.
func (f *follower) at(t time.Duration) {
	if f != nil && f.live && t-f.read >= f.every {
		f.read = t
		f.collector.Ask()
	}
	if f == nil || f.sink.file.uplink == nil && f.sink.file.log == nil {
		return
	}
	every := f.sink.so.Job.Interval
	if every == 0 {
		every = max(commitEvery, t/20)
	}
	if t-f.committed < every {
		return
	}
	f.committed = t
	f.sink.due.Store(true)
	f.collector.Ask()
}

// warning says what the following did to the workload.
func (f *follower) warning(whole time.Duration) string {
	if f == nil || f.waited == 0 {
		return ""
	}
	return fmt.Sprintf("between its operations the workload was held for %v of %v, until mapprof had read the deaths that it had caused (nothing was lost; --no-deaths reads faster, and so do more CPUs)",
		f.waited.Round(time.Millisecond), whole.Round(time.Millisecond))
}
