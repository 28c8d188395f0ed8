// SPDX-License-Identifier: Apache-2.0

//go:build linux

package collect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
)

// Collector reads the tracer's events while a workload runs. The programs wake
// it when half of the ring buffer is full, at the default size after more than
// 8,000 deaths, and until then it leaves the CPUs alone: one that is busy with
// it when RCU looks for quiescent states makes the grace period that is being
// measured a tick longer. It only copies the events; everything that costs time
// waits for Finish. Its methods may be called from any goroutine; Finish once.
type Collector struct {
	probes *probes.Probes
	reader *ringbuf.Reader
	done   chan struct{} // closed when reading has ended
	last   chan struct{} // closed when the next flush is the last

	mu     sync.Mutex
	deaths []probes.DeathEvent
	waits  []probes.WaitEvent
	gps    []probes.GPEvent
	bad    uint64
	err    error
}

// Outcome is what one trial gave.
type Outcome struct {
	Deaths []results.Death
	// UpdateWaitNS are the times that updates and deletes of outer maps
	// blocked, in the order of their ends.
	UpdateWaitNS    []int64
	UpdateWaitEndNS []int64 // those ends, CLOCK_MONOTONIC
	// Expedited is how many of them were in synchronize_rcu_expedited().
	Expedited uint64
	// GracePeriods are the system's, in the order of their ends; empty where
	// their functions can't be seen.
	GracePeriods []results.GracePeriod
	// Pending are the deaths still under way at Finish: their spans are open.
	Pending []results.Death
	// AtNS is the target's ktime at Finish, to which Pending were watched.
	AtNS int64

	Puts, Freed, InFlight, Lost uint64
	Paths                       map[string]uint64
	Excluded                    map[string]uint64
	Loss                        map[string]uint64 // every kind, zero ones too
	Stacks                      map[string][]results.Frame
}

// Start begins to read.
func Start(p *probes.Probes) (*Collector, error) {
	r, err := p.Reader()
	if err != nil {
		return nil, err
	}
	c := &Collector{probes: p, reader: r, done: make(chan struct{}), last: make(chan struct{})}
	go c.read()
	return c, nil
}

func (c *Collector) read() {
	defer close(c.done)
	var rec ringbuf.Record
	ending := false
	for {
		if err := c.reader.ReadInto(&rec); err != nil {
			if errors.Is(err, ringbuf.ErrFlushed) {
				// All that was there at the flush has been read. The first
				// that is seen after Finish asked may have been under way
				// before: one more.
				select {
				case <-c.last:
				default:
					continue
				}
				if ending {
					return
				}
				ending = true
				if c.reader.Flush() == nil {
					continue
				}
			}
			if !errors.Is(err, ringbuf.ErrClosed) {
				c.mu.Lock()
				c.err = fmt.Errorf("read ring buffer: %w", err)
				c.mu.Unlock()
			}
			return
		}
		event, err := decode(rec.RawSample)
		c.mu.Lock()
		switch e := event.(type) {
		case *probes.DeathEvent:
			c.deaths = append(c.deaths, *e)
		case *probes.WaitEvent:
			c.waits = append(c.waits, *e)
		case *probes.GPEvent:
			c.gps = append(c.gps, *e)
		}
		if err != nil {
			c.bad++
		}
		c.mu.Unlock()
	}
}

// Received is how many deaths have come so far.
func (c *Collector) Received() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint64(len(c.deaths))
}

// Drain waits until every watched death has been received or lost, or timeout
// is over, or ctx is done; only the last is an error. What is still pending
// then is reported as such by Finish.
func (c *Collector) Drain(ctx context.Context, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		counters, err := c.probes.Counters()
		if err != nil {
			return err
		}
		if c.Received()+sum(counters.LostDeaths) >= counters.Puts {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return nil
		case <-tick.C:
			_ = c.reader.Flush() // the reader says itself when it is closed
		}
	}
}

// Finish takes the final snapshot, stops reading and decodes everything.
// Call probes.Stop and Drain before it.
func (c *Collector) Finish() (*Outcome, error) {
	counters, inflight, err := snapshot(c.probes.Counters, c.probes.InFlight)
	if err != nil {
		return nil, err
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return nil, fmt.Errorf("read clock: %w", err)
	}
	if err := c.stopReading(); err != nil {
		return nil, err
	}
	mem, err := c.footprint()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := newOutcome(counters, now.Nano())
	o.Loss["undecodable"] = c.bad
	stacks := c.symbolizer()
	o.addDeaths(c.deaths, inflight, mem, stacks)
	o.addWaits(c.waits)
	o.addGracePeriods(c.gps)
	o.Freed, o.InFlight = uint64(len(o.Deaths)), uint64(len(o.Pending))
	o.Lost = sum(counters.LostDeaths) + o.Loss["time_went_back"] + c.bad
	o.Stacks, err = stacks.resolve(o.Deaths)
	return o, err
}

// stopReading ends the reader when it has read whatever was submitted before.
func (c *Collector) stopReading() error {
	close(c.last)
	if err := c.reader.Flush(); err != nil {
		return fmt.Errorf("flush ring buffer: %w", err)
	}
	<-c.done
	if err := c.reader.Close(); err != nil {
		return fmt.Errorf("close ring buffer: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// footprint is the memory of maps on this kernel.
func (c *Collector) footprint() (footprint, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return footprint{}, err
	}
	layout, err := c.probes.KernelLayout()
	if err != nil {
		return footprint{}, err
	}
	return newFootprint(layout, cpus), nil
}

// newOutcome is an outcome of what the programs counted; every kind of loss is
// there.
func newOutcome(counters probes.Counters, atNS int64) *Outcome {
	o := &Outcome{
		AtNS: atNS, Puts: counters.Puts,
		Paths: map[string]uint64{}, Excluded: counters.Excluded, Loss: counters.Missed,
	}
	for kind, n := range counters.LostDeaths {
		o.Loss[kind] = n
	}
	o.Loss["undecodable"], o.Loss["time_went_back"], o.Loss["callback_unseen"] = 0, 0, 0
	return o
}

// addDeaths adds those that ended, and those under way that didn't end while
// their table was read.
func (o *Outcome) addDeaths(deaths, inflight []probes.DeathEvent, mem footprint, stacks *symbolizer) {
	ended := map[probes.DeathKey]bool{}
	for i := range deaths {
		ended[deaths[i].Key()] = true
		d, ok := o.death(&deaths[i], mem)
		if !ok {
			o.Loss["time_went_back"]++
			continue
		}
		d.Stack = stacks.id(deaths[i].StackId)
		o.Paths[d.Path]++
		o.Deaths = append(o.Deaths, d)
	}
	for i := range inflight {
		if !ended[inflight[i].Key()] {
			o.Pending = append(o.Pending, pendingDeath(&inflight[i], mem))
		}
	}
}

func (o *Outcome) addWaits(waits []probes.WaitEvent) {
	for _, w := range waits {
		o.UpdateWaitNS = append(o.UpdateWaitNS, int64(w.EndNs-w.StartNs))
		o.UpdateWaitEndNS = append(o.UpdateWaitEndNS, int64(w.EndNs))
		if w.Expedited != 0 {
			o.Expedited++
		}
	}
}

func (o *Outcome) addGracePeriods(gps []probes.GPEvent) {
	for _, g := range gps {
		if kind := waitNames[g.GpKind]; kind != "" && g.EndNs >= g.StartNs {
			o.GracePeriods = append(o.GracePeriods, results.GracePeriod{Kind: kind, StartNS: int64(g.StartNs), EndNS: int64(g.EndNs)})
		}
	}
}

// snapshotTries is how often a snapshot is taken anew while deaths are lost.
const snapshotTries = 20

// snapshot reads the counters and the deaths under way as of one moment, so
// that none is in both: one that is lost meanwhile would be. One that is lost
// later was under way then.
func snapshot(counters func() (probes.Counters, error), inFlight func() ([]probes.DeathEvent, error)) (probes.Counters, []probes.DeathEvent, error) {
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

// waitNames names what a stage of a death waits for, and a grace period of the
// system: as the strategy that waits for it.
var waitNames = map[uint32]string{
	probes.StageKindRCU:        results.StrategyRCU,
	probes.StageKindTasksTrace: results.StrategyTasksTrace,
}

func sum(m map[string]uint64) uint64 {
	var n uint64
	for _, v := range m {
		n += v
	}
	return n
}

// death turns an event into a record; false where its times run backwards, in
// the event or in a phase of the record. The second happens where the waits
// came in an order that no kernel has: RCU before tasks-trace.
func (o *Outcome) death(e *probes.DeathEvent, mem footprint) (results.Death, bool) {
	d := pendingDeath(e, mem)
	d.FreeNS, d.FreedNS = int64(e.FreeNs), int64(e.FreedNs)
	d.FreeWaitNS, d.CPUFree = int64(e.FreeWaitNs), int(e.CpuFree)
	times := []uint64{e.PutNs}
	for i, kind := range e.StageKind {
		if kind == probes.StageKindNone {
			break
		}
		end := e.EndNs[i]
		if end == 0 {
			// No probe saw the callback: the wait is known to have ended
			// when the worker began.
			end = e.FreeNs
			o.Loss["callback_unseen"]++
		}
		times = append(times, e.EnqueueNs[i], end)
		switch kind {
		case probes.StageKindTasksTrace:
			d.TasksTraceEndNS = int64(end)
		case probes.StageKindRCU:
			d.RCUEnqueueNS, d.RCUEndNS = int64(e.EnqueueNs[i]), int64(end)
		}
	}
	d.Path = path(e)
	times = append(times, e.FreeNs, e.FreedNs)
	ok := slices.IsSorted(times) && e.FreedNs <= math.MaxInt64
	for _, ns := range d.EachPhase {
		ok = ok && ns >= 0
	}
	return d, ok
}

func pendingDeath(e *probes.DeathEvent, mem footprint) results.Death {
	d := results.Death{
		Path: path(e), MapID: e.MapId, MapType: results.MapTypeNumbered(e.MapType).Display, MapName: cString(e.MapName[:]),
		KeySize: e.KeySize, ValueSize: e.ValueSize, MaxEntries: e.MaxEntries, MemBytes: mem.bytes(e),
		PutNS: int64(e.PutNs), CPUPut: int(e.CpuPut), Comm: cString(e.Comm[:]),
	}
	if e.StageKind[0] != probes.StageKindNone {
		d.EnqueueNS = int64(e.EnqueueNs[0])
	}
	return d
}

// path names the waits that a death went through, in order.
func path(e *probes.DeathEvent) string {
	p := ""
	for _, kind := range e.StageKind {
		if name := waitNames[kind]; name != "" {
			p += "+" + name
		}
	}
	if e.FreeWaitNs != 0 {
		p += "+" + results.StrategySync
	}
	if p == "" {
		return results.StrategyImmediate
	}
	return p[1:]
}

// symbolizer gathers the stacks of deaths by the kernel's stack id, and names
// them once all are known.
type symbolizer struct {
	c     *Collector
	addrs map[int32][]uint64
}

func (c *Collector) symbolizer() *symbolizer {
	return &symbolizer{c: c, addrs: map[int32][]uint64{}}
}

// id notes the stack and returns a provisional key for it.
func (s *symbolizer) id(stackID int32) string {
	if stackID < 0 {
		return ""
	}
	if _, ok := s.addrs[stackID]; !ok {
		addrs, err := s.c.probes.Stack(uint32(stackID))
		if err != nil {
			addrs = nil
		}
		s.addrs[stackID] = addrs
	}
	return fmt.Sprint(stackID)
}

// resolve names the frames, gives stacks their stable keys, and sets these in
// the deaths.
func (s *symbolizer) resolve(deaths []results.Death) (map[string][]results.Frame, error) {
	var all []uint64
	for _, addrs := range s.addrs {
		all = append(all, addrs...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	frames, err := kallsyms.Kernel(all)
	if err != nil {
		return nil, fmt.Errorf("symbolize stacks: %w", err)
	}
	out, keys := map[string][]results.Frame{}, map[string]string{"": ""}
	for id, addrs := range s.addrs {
		stack := make([]results.Frame, 0, len(addrs))
		for _, a := range addrs {
			fr, ok := frames[a]
			if !ok {
				fr = results.Frame{Function: fmt.Sprintf("0x%x", a)}
			}
			stack = append(stack, fr)
		}
		stack = trimTracer(stack)
		key := results.StackID(stack)
		out[key], keys[fmt.Sprint(id)] = stack, key
	}
	for i := range deaths {
		deaths[i].Stack = keys[deaths[i].Stack]
	}
	return out, nil
}

// trimTracer drops the tracer's own frames (its program and the trampoline)
// from the inner end.
func trimTracer(stack []results.Frame) []results.Frame {
	i := 0
	for i < len(stack) && (stack[i].Module == "bpf" || stack[i].Module == "__builtin__ftrace" || stack[i].Module == "__builtin__kprobes") {
		i++
	}
	return stack[i:]
}
