// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/mapmemory"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/results/inventory"
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
	InFlight() ([]probes.OwnedDeath, error)
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

// Outcome is what one trial gave beside the deaths and waits that a Sink took.
type Outcome struct {
	// Expedited is how many update waits were in synchronize_rcu_expedited().
	Expedited uint64
	// GracePeriods are the system's first results.MaxGracePeriods, in the order of
	// their ends; empty where their functions can't be seen.
	GracePeriods []results.GracePeriod
	// Pending are the deaths still under way: their spans are open. They have the times
	// that they have reached.
	Pending []results.Death
	// AtNS is the target's ktime to which Pending were watched.
	AtNS int64

	// Final says that it was taken at the end. Puts were counted by themselves then;
	// before, while maps are still put, they are the sum of the others.
	Final                       bool
	Puts, Freed, InFlight, Lost uint64
	// PutsUnseen are those of the freed that begin where they were enqueued: two
	// puts raced.
	PutsUnseen uint64
	Paths      map[string]uint64
	Excluded   map[string]uint64
	Loss       map[string]uint64 // every kind, zero ones too
	Stacks     map[string][]results.Frame
	// Live are the maps that are alive, where owners are watched; nil: not known.
	Live *inventory.Live
	// Stuck are deaths that were pending for long, and MoreStuck how many more there
	// were.
	Stuck     []results.Stuck
	MoreStuck uint64
}

// Start begins to read. owners, if any, complete each death, and say which are wanted.
func Start(p *probes.Probes, sink Sink, owners *Owners) (*Collector, error) {
	mem, err := kernelFootprint(p)
	if err != nil {
		return nil, err
	}
	stacks, err := newSymbolizer(p.Stack)
	if err != nil {
		return nil, err
	}
	r, err := p.Reader()
	if err != nil {
		return nil, err
	}
	if owners != nil {
		at, err := monotonic()
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		owners.look(&mem, p.OwnerAt, at)
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
	at, err := monotonic()
	if err != nil {
		return err
	}
	counters, inflight, err := snapshot(c.kernel.Counters, c.kernel.InFlight)
	if err != nil {
		return err
	}
	if last { // nothing is put any more
		if at, err = monotonic(); err != nil {
			return err
		}
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
		if !c.decoder.pending(&d, &inflight[i]) {
			unwanted++
			continue
		}
		reached(&d, &inflight[i].Death)
		if c.owners != nil {
			c.owners.pending(&d, &inflight[i].Death, at)
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

func monotonic() (int64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, fmt.Errorf("read clock: %w", err)
	}
	return now.Nano(), nil
}

// recordBytes is what a record of that many bytes takes in the ring buffer, with
// its header.
func recordBytes(n int) int { return 8 + (n+7)&^7 }

// sum is an outcome of what the programs counted and what was read; every kind of
// loss is there.
func (c *Collector) sum(counters probes.Counters, atNS int64, last bool) *Outcome {
	d := c.decoder
	o := &Outcome{
		AtNS: atNS, Final: last, Puts: counters.Puts, Freed: d.deaths, Expedited: c.expedited, GracePeriods: c.gps,
		PutsUnseen: d.putsUnseen, Paths: maps.Clone(d.counts), Excluded: counters.Excluded, Loss: counters.Missed, Stacks: c.stacks.stacks,
	}
	if !last {
		o.GracePeriods, o.Stacks = append([]results.GracePeriod(nil), c.gps...), maps.Clone(c.stacks.stacks)
	}
	maps.Copy(o.Loss, counters.LostDeaths)
	o.Loss["undecodable"], o.Loss["time_went_back"], o.Loss["callback_unseen"] = d.undecodable, d.timeWentBack, d.callbacksUnseen
	o.Lost = sum(counters.LostDeaths) + d.timeWentBack + d.undecodable
	return o
}

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

// snapshotTries is how often a snapshot is taken anew while deaths are lost.
const snapshotTries = 20

// snapshot reads the counters and the deaths under way as of one moment, so
// that none is in both: one that is lost meanwhile would be. One that is lost
// later was under way then.
func snapshot(counters func() (probes.Counters, error), inFlight func() ([]probes.OwnedDeath, error)) (probes.Counters, []probes.OwnedDeath, error) {
	before, err := counters()
	if err != nil {
		return probes.Counters{}, nil, err
	}
	for try := 1; ; try++ {
		pending, err := inFlight()
		if err != nil {
			return probes.Counters{}, nil, err
		}
		after, err := counters()
		if err != nil {
			return probes.Counters{}, nil, err
		}
		if sum(after.LostDeaths) == sum(before.LostDeaths) || try == snapshotTries {
			return after, pending, nil
		}
		before = after
	}
}

func sum(m map[string]uint64) uint64 {
	var n uint64
	for _, v := range m {
		n += v
	}
	return n
}
