// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/internal/mapmemory"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// A Sink takes what a Collector reads, one call at a time, from the collector's
// goroutine. An error ends the collecting.
type Sink interface {
	// Death takes one that has ended, in the order of their ends but for some that
	// ended at nearly the same time. d is valid during the call.
	Death(d *results.Death) error
	// Wait takes an update or a delete of an outer map that blocked.
	Wait(w Wait) error
	// Sweep tells what is so far: every death that was known of at o.AtNS is lost,
	// has been given to Death, or is among o.Pending, which may have younger ones.
	// o is the sink's to keep.
	Sweep(o *Outcome) error
}

// Wait is one call of synchronize_rcu*() for an outer map, by CLOCK_MONOTONIC.
type Wait struct {
	StartNS, EndNS int64
	Expedited      bool
}

// Collector reads the tracer's events while a workload runs, and hands them on:
// it keeps none. The programs wake it when half of the ring buffer is full, at
// the default size after more than 8,000 deaths, and until then it leaves the
// CPUs alone: one that is busy with it when RCU looks for quiescent states makes
// the grace period that is being measured a tick longer. Its methods may be
// called from any goroutine; Finish once.
type Collector struct {
	kernel kernel
	reader ring
	sink   Sink
	done   chan struct{} // closed when reading has ended

	// Of the reading goroutine, and after it.
	event   event
	decoder *decoder
	stacks  *symbolizer
	owners  *Owners // nil: owners aren't watched
	death   results.Death
	// ended are the deaths that came last: those that may be in the tables of the
	// deaths under way all the same.
	ended     []probes.DeathKey
	expedited uint64
	gps       []results.GracePeriod
	since     int // deaths since the last sweep
	outcome   *Outcome
	err       error

	received atomic.Uint64
	asked    atomic.Bool // for a sweep
	over     atomic.Bool // the next sweep is at the end of the recording
	overTold chan struct{}
	finish   atomic.Bool // the next sweep is the last
	closing  sync.Once
}

// kernel is what a Collector asks of probes.Probes.
type kernel interface {
	Counters() (probes.Counters, error)
	InFlight() ([]probes.Pending, error)
}

// ring is a ringbuf.Reader.
type ring interface {
	ReadInto(rec *ringbuf.Record) error
	Flush() error
	AvailableBytes() int
	BufferSize() int
	Close() error
}

// SweepEvery is after how many deaths there is a sweep at the latest: what a sink
// keeps of those whose time isn't over is bounded by it.
const SweepEvery = 1 << 16

// lingering is how many deaths may have ended since one whose program has not yet
// taken it out of its table.
const lingering = 4096

// Start begins to read. owners, if any, complete each death, and say which are wanted.
func Start(p *probes.Probes, sink Sink, owners *Owners) (*Collector, error) {
	return StartWith(p, sink, owners, &Symbols{reading: kallsyms.Begin()})
}

// StartWith is Start, with the kernel's symbols that were begun to be read before the
// probes were attached. The caller closes them after the collector.
func StartWith(p *probes.Probes, sink Sink, owners *Owners, s *Symbols) (*Collector, error) {
	mem, err := kernelFootprint(p)
	if err != nil {
		return nil, err
	}
	stacks, err := s.symbolizer(p.Stack)
	if err != nil {
		return nil, err
	}
	r, err := p.Reader()
	if err != nil {
		return nil, err
	}
	if owners != nil {
		owners.look(&mem, p.OwnerAt, ktime.Now())
	}
	return start(p, r, sink, mem, stacks, owners), nil
}

func start(k kernel, r ring, sink Sink, mem footprint, stacks *symbolizer, owners *Owners) *Collector {
	c := &Collector{kernel: k, reader: r, sink: sink, done: make(chan struct{}), overTold: make(chan struct{}), stacks: stacks}
	c.decoder = newDecoder(mem, stacks.key)
	if owners != nil {
		c.owners, c.decoder.owners = owners, owners.complete
	}
	go c.read()
	return c
}

// Replay gives a sink what a Collector would that read these events, on a machine
// of one CPU that knows no stack by name. It makes no sweep.
type Replay struct{ c Collector }

// NewReplay returns one for a sink.
func NewReplay(sink Sink) *Replay {
	return &Replay{Collector{sink: sink, decoder: newDecoder(footprint{kernel: mapmemory.Kernel{CPUs: 1, PageSize: 4096, Struct: func(string) uint64 { return 0 }}}, func(int32) string { return "" })}}
}

// Take takes a death from its bytes.
func (r *Replay) Take(e *probes.DeathEvent) error { return r.c.take(bytesOf(e)) }

func (c *Collector) read() {
	defer close(c.done)
	var rec ringbuf.Record
	for {
		last := c.finish.Load()
		if last || c.since >= SweepEvery || c.asked.Swap(false) {
			if c.err = c.sweep(&rec, last); c.err != nil || last {
				return
			}
		}
		// What is there is read whole before a flush is told of.
		err := c.reader.ReadInto(&rec)
		switch {
		case err == nil:
			err = c.take(rec.RawSample)
		case errors.Is(err, ringbuf.ErrFlushed):
			err = nil
		default:
			err = fmt.Errorf("read ring buffer: %w", err)
		}
		if err != nil {
			c.err = err
			return
		}
	}
}

// take hands one record on.
func (c *Collector) take(raw []byte) error {
	if err := c.event.decode(raw); err != nil {
		c.decoder.undecodable++
		return nil
	}
	switch c.event.kind {
	case probes.KindDeath:
		e := &c.event.death
		c.note(e.Death.Key())
		if c.owners != nil {
			c.owners.stuck.ended(&e.Death)
		}
		if c.decoder.death(&c.death, e) {
			if err := c.sink.Death(&c.death); err != nil {
				return err
			}
		}
		c.received.Add(1)
	case probes.KindWait:
		w := &c.event.wait
		if w.Expedited != 0 {
			c.expedited++
		}
		return c.sink.Wait(Wait{int64(w.StartNs), int64(w.EndNs), w.Expedited != 0})
	case probes.KindProg:
		if c.owners != nil {
			c.owners.change(&c.event.prog)
		}
	case probes.KindCgroup:
		if c.owners != nil {
			e := &c.event.cgroup
			c.owners.cgroups.made(e.Id, untilNUL(e.Path[:]))
		}
	case probes.KindGP:
		g := &c.event.gp
		if kind := waitNames[g.GpKind]; kind != "" && g.EndNs >= g.StartNs && len(c.gps) < results.MaxGracePeriods {
			c.gps = append(c.gps, results.GracePeriod{Kind: kind, StartNS: int64(g.StartNs), EndNS: int64(g.EndNs)})
		}
	}
	return nil
}

func (c *Collector) note(key probes.DeathKey) {
	if len(c.ended) >= 2*lingering {
		c.ended = c.ended[:copy(c.ended, c.ended[len(c.ended)-lingering:])]
	}
	c.ended = append(c.ended, key)
	c.since++
}

// sweep takes a snapshot, reads what had been submitted until then, and tells the
// sink.
func (c *Collector) sweep(rec *ringbuf.Record, last bool) error {
	c.since = 0
	at := ktime.Now()
	counters, inflight, err := snapshot(c.kernel.Counters, c.kernel.InFlight)
	if err != nil {
		return err
	}
	if last { // nothing is put any more
		at = ktime.Now()
	}
	ended := map[probes.DeathKey]bool{}
	for _, key := range c.ended {
		ended[key] = true
	}
	// Nothing is written between the records, and no record is given up: their
	// lengths add up.
	for left := c.reader.AvailableBytes(); left > 0; left -= recordBytes(len(rec.RawSample)) {
		if err := c.next(rec); err != nil {
			return err
		}
		if err := c.take(rec.RawSample); err != nil {
			return err
		}
		if c.event.kind == probes.KindDeath {
			ended[c.event.death.Death.Key()] = true
		}
	}
	c.outcome = c.sum(counters, at, last)
	unwanted := c.decoder.unwanted
	for i := range inflight {
		if ended[inflight[i].Death.Key()] {
			continue
		}
		var d results.Death
		if !c.decoder.pending(&d, &inflight[i].OwnedDeath) {
			unwanted++
			continue
		}
		reached(&d, &inflight[i].Death)
		if c.owners != nil {
			c.owners.pending(&d, &inflight[i], at)
		}
		c.outcome.Pending = append(c.outcome.Pending, d)
	}
	if c.decoder.owners != nil {
		c.outcome.Excluded["filtered"] = unwanted
	}
	if c.owners != nil {
		c.outcome.Stuck, c.outcome.MoreStuck = c.owners.Stuck()
		over := !last && c.over.Swap(false)
		c.outcome.Live = c.owners.alive(at, c.outcome.Pending, over)
		if over {
			close(c.overTold)
		}
	}
	if last {
		c.outcome.Puts -= min(unwanted, c.outcome.Puts)
	}
	c.outcome.InFlight = uint64(len(c.outcome.Pending))
	if !last {
		c.outcome.Puts = c.outcome.Freed + c.outcome.InFlight + c.outcome.Lost
	}
	return c.sink.Sweep(c.outcome)
}

// next reads a record that is there.
func (c *Collector) next(rec *ringbuf.Record) error {
	for {
		// Without a flush the reader would wait for a wakeup.
		if err := c.reader.Flush(); err != nil {
			return fmt.Errorf("flush ring buffer: %w", err)
		}
		if err := c.reader.ReadInto(rec); !errors.Is(err, ringbuf.ErrFlushed) {
			return err
		}
	}
}

// recordBytes is what a record of that many bytes takes in the ring buffer, with
// its header.
func recordBytes(n int) int { return 8 + (n+7)&^7 }

// Received is how many deaths have come so far.
func (c *Collector) Received() uint64 { return c.received.Load() }

// Busy tells how full the ring buffer is, from 0 to 1: above a half the collector
// is behind. It is 0 when nobody reads any more.
func (c *Collector) Busy() float64 {
	select {
	case <-c.done:
		return 0
	default:
	}
	return float64(c.reader.AvailableBytes()) / float64(c.reader.BufferSize())
}

// Ended is closed when nobody reads any more: after Finish or Close, or on an error,
// which Finish returns.
func (c *Collector) Ended() <-chan struct{} { return c.done }

// Ask asks for a sweep soon.
func (c *Collector) Ask() {
	c.asked.Store(true)
	_ = c.reader.Flush() // the reader says itself when it is closed
}

// End takes what is there when a recording is over, once, and waits for it.
func (c *Collector) End() {
	c.over.Store(true)
	c.Ask()
	select {
	case <-c.overTold:
	case <-c.done:
	}
}

// Drain waits until every watched death has been received or lost, or timeout
// is over, or the collecting has failed, or ctx is done; only the last is an
// error. What is still pending then is reported as such by Finish.
func (c *Collector) Drain(ctx context.Context, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		counters, err := c.kernel.Counters()
		if err != nil {
			return err
		}
		if c.Received()+sum(counters.LostDeaths) >= counters.Puts {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.done:
			return nil // Finish says why
		case <-deadline.C:
			return nil
		case <-tick.C:
			_ = c.reader.Flush() // the reader says itself when it is closed
		}
	}
}

// Finish makes the last sweep, stops reading, and returns what the sink was told.
// Call probes.Stop and Drain before it.
func (c *Collector) Finish() (*Outcome, error) {
	c.finish.Store(true)
	err := c.reader.Flush()
	if err == nil {
		<-c.done
		err = c.err
	}
	return c.outcome, errors.Join(err, c.Close())
}

// Close stops reading without a last sweep. It may be called after Finish.
func (c *Collector) Close() (err error) {
	c.closing.Do(func() {
		if err = c.reader.Close(); err != nil {
			err = fmt.Errorf("close ring buffer: %w", err)
		}
		<-c.done
	})
	return err
}

// kernelFootprint is the memory of maps on this kernel.
func kernelFootprint(p *probes.Probes) (footprint, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return footprint{}, err
	}
	layout, err := p.KernelLayout()
	if err != nil {
		return footprint{}, err
	}
	return newFootprint(layout, cpus), nil
}
