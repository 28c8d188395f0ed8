// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// fakeKernel is a ring buffer and a table of deaths under way, which behave as the
// kernel's and the reader's do: an event is submitted before its death leaves the
// table, and nobody is woken but by a flush or by a buffer that is half full.
type fakeKernel struct {
	mu        sync.Mutex
	changed   *sync.Cond
	records   [][]byte
	bytes     int
	flushed   bool // asked for
	pending   bool // to be told of when all is read
	reading   bool
	closed    bool
	puts      uint64
	lost      uint64
	underWay  map[probes.DeathKey]probes.DeathEvent
	lingering []probes.DeathKey // ended, and still in the table
}

const fakeRingBytes = 1 << 20

func newFakeKernel() *fakeKernel {
	k := &fakeKernel{underWay: map[probes.DeathKey]probes.DeathEvent{}}
	k.changed = sync.NewCond(&k.mu)
	return k
}

func (k *fakeKernel) ReadInto(rec *ringbuf.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		if k.closed {
			return ringbuf.ErrClosed
		}
		if !k.reading {
			if k.pending {
				k.pending = false
				return ringbuf.ErrFlushed
			}
			for !k.flushed && k.bytes <= fakeRingBytes/2 && !k.closed {
				k.changed.Wait()
			}
			k.pending, k.flushed, k.reading = k.flushed, false, true
			continue
		}
		if len(k.records) == 0 {
			k.reading = false
			continue
		}
		rec.RawSample = append(rec.RawSample[:0], k.records[0]...)
		k.bytes -= recordBytes(len(k.records[0]))
		k.records = k.records[1:]
		return nil
	}
}

func (k *fakeKernel) Flush() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return ringbuf.ErrClosed
	}
	k.flushed = true
	k.changed.Broadcast()
	return nil
}

func (k *fakeKernel) AvailableBytes() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bytes
}

func (k *fakeKernel) BufferSize() int { return fakeRingBytes }

func (k *fakeKernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.changed.Broadcast()
	return nil
}

func (k *fakeKernel) Counters() (probes.Counters, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return probes.Counters{Puts: k.puts, Excluded: map[string]uint64{}, Missed: map[string]uint64{}, LostDeaths: map[string]uint64{"ringbuf_full": k.lost}}, nil
}

func (k *fakeKernel) InFlight() ([]probes.Pending, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]probes.Pending, 0, len(k.underWay))
	for _, e := range k.underWay {
		out = append(out, probes.Pending{OwnedDeath: probes.OwnedDeath{Death: e}})
	}
	return out, nil
}

// put begins a death.
func (k *fakeKernel) put(id uint32) probes.DeathKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := ktime.Now()
	e := probes.DeathEvent{Kind: probes.KindDeath, MapId: id, PutNs: uint64(now), StackId: -1}
	k.underWay[e.Key()] = e
	k.puts++
	return e.Key()
}

// free ends one, or loses it where the buffer is full.
func (k *fakeKernel) free(key probes.DeathKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, old := range k.lingering {
		delete(k.underWay, old)
	}
	k.lingering = k.lingering[:0]
	e := k.underWay[key]
	now := ktime.Now()
	e.FreeNs, e.FreedNs = uint64(now), uint64(now)
	n := recordBytes(len(bytesOf(&e)))
	if k.bytes+n > fakeRingBytes {
		k.lost++
		delete(k.underWay, key)
		return
	}
	k.records, k.bytes = append(k.records, append([]byte(nil), bytesOf(&e)...)), k.bytes+n
	k.lingering = append(k.lingering, key)
	k.changed.Broadcast()
}

// countingSink is one of which another goroutine may know how many sweeps came.
type countingSink struct {
	Kept
	sweeps atomic.Uint64
}

func (s *countingSink) Sweep(o *Outcome) error {
	s.sweeps.Add(1)
	return s.Kept.Sweep(o)
}

// TestCollectorSweeps: whenever a sweep comes, it fits all deaths, and the end
// balances.
func TestCollectorSweeps(t *testing.T) {
	k, kept := newFakeKernel(), &countingSink{}
	c := start(k, k, kept, footprint{kernel: testKernel}, &symbolizer{}, nil)
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.Ask()
				time.Sleep(100 * time.Microsecond)
			}
		}
	})
	r := rand.New(rand.NewPCG(1, 2))
	var open []probes.DeathKey
	var puts uint32
	for ; puts < 30000 || kept.sweeps.Load() < 20; puts++ {
		if c.Busy() > 0.8 && r.IntN(100) > 0 {
			time.Sleep(time.Millisecond) // a few are lost
		}
		open = append(open, k.put(puts))
		for len(open) > 50+r.IntN(100) {
			i := r.IntN(len(open))
			k.free(open[i])
			open[i] = open[len(open)-1]
			open = open[:len(open)-1]
		}
	}
	close(stop)
	asking.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Drain(ctx, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("drain: %v", err)
	}
	o, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Check(true, 0); err != nil {
		t.Error(err)
	}
	if o.Puts != uint64(puts) || o.Puts != o.Freed+o.InFlight+o.Lost || o.InFlight != uint64(len(open)) || o.Lost != k.lost || c.Received() != o.Freed {
		t.Errorf("%d puts = %d freed + %d in flight (%d are) + %d lost (%d are)", o.Puts, o.Freed, o.InFlight, len(open), o.Lost, k.lost)
	}
	t.Logf("%d sweeps, %d lost", len(kept.Sweeps), o.Lost)
}

// TestCollectorSweepsByItself: without anybody asking, deaths of which nobody has
// been told don't pile up.
func TestCollectorSweepsByItself(t *testing.T) {
	k, kept := newFakeKernel(), &Kept{}
	c := start(k, k, kept, footprint{kernel: testKernel}, &symbolizer{}, nil)
	for id := range uint32(2 * SweepEvery) {
		k.free(k.put(id))
		for c.Busy() > 0.7 {
			time.Sleep(time.Millisecond)
		}
	}
	if err := c.Drain(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	o, err := c.Finish()
	if err != nil || o.Freed != 2*SweepEvery || o.Lost != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	if n := len(kept.Sweeps); n < 2 || n > 3 {
		t.Errorf("%d sweeps", n)
	}
	if len(c.ended) > 2*lingering {
		t.Errorf("%d keys are remembered", len(c.ended))
	}
	if err := kept.Check(false, 0); err != nil {
		t.Error(err)
	}
}

// failingSink fails at the n-th death.
type failingSink struct {
	Kept
	n int
}

var errSink = errors.New("the sink is full")

func (s *failingSink) Death(d *results.Death) error {
	if s.n--; s.n < 0 {
		return errSink
	}
	return s.Kept.Death(d)
}

// TestSinkFails: its error is the collecting's, and nobody waits for it.
func TestSinkFails(t *testing.T) {
	k := newFakeKernel()
	c := start(k, k, &failingSink{n: 5}, footprint{kernel: testKernel}, &symbolizer{}, nil)
	for id := range uint32(100) {
		k.free(k.put(id))
	}
	if err := c.Drain(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if busy := c.Busy(); busy != 0 {
		t.Errorf("%v busy, and nobody reads", busy)
	}
	if _, err := c.Finish(); !errors.Is(err, errSink) {
		t.Errorf("finish: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close after finish: %v", err)
	}
}
