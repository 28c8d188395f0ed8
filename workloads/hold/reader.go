// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hold

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

// MetricName names the metric of --hold-reader: for each operation that has
// one, how long the reader stayed after the operation had begun to wait. Each of
// its deaths waits at least as long.
const MetricName = "hold"

// Reader makes one operation after the other happen inside a read-side
// section that lasts a given time longer; in turn, where several are given, and
// 0 is none. A nil one does nothing. Enter and Leave are called in turn from one
// thread, which Start gives its CPUs.
type Reader struct {
	kind    string
	lengths []time.Duration
	ops     int
	length  time.Duration // of the one under way
	prog    *ebpf.Program
	memory  *ebpf.Collection
	page    *lateFault  // of a tasks-trace reader
	cpus    unix.CPUSet // as found
	ours    unix.CPUSet // without the reader's
	status  *os.File    // of the thread that operates
	// The reader and who lets it go live as long as the run: a thread that
	// ends is freed by RCU, and would start a grace period of its own.
	begin, watch chan struct{}
	ended        chan error
	held         chan holdTimes
	done         atomic.Bool // the operation has ended
	entered      int64
	times        []float64
	until        []int64 // when each left, 0: none was held
}

// holdTimes are times of one hold, CLOCK_MONOTONIC in nanoseconds.
type holdTimes struct {
	waitingNS int64 // the operation was seen to wait, or to have ended
	err       error
}

// floor is the kernel from which a kind of reader can be held.
func floor(kind string) (major, minor int) {
	if kind == results.StrategyTasksTrace {
		return 5, 14
	}
	return 5, 17
}

// CheckTarget says what a target lacks for a kind of reader to be held on it.
func CheckTarget(kind string, t workloads.Target) error {
	if major, minor := floor(kind); t.Before(major, minor) {
		return fmt.Errorf("--hold-reader %s: the reader needs kernel %d.%d", kind, major, minor)
	}
	if t.CPUs == 1 {
		return errors.New("--hold-reader: the reader needs a CPU of its own (use --cpus 2; --clock icount has only one)")
	}
	return nil
}

// New loads the reader that --hold-reader asks for; nil: none.
func New(kind string, lengths []time.Duration) (_ *Reader, err error) {
	if len(lengths) == 0 {
		return nil, nil
	}
	h := &Reader{kind: kind, lengths: lengths}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	spec, err := loadHold()
	if err != nil {
		return nil, fmt.Errorf("read embedded BPF programs: %w", err)
	}
	name, other := holdProgHoldRcu, holdProgHoldTasksTrace
	if kind == results.StrategyTasksTrace {
		name, other = other, name
	}
	major, minor := floor(kind)
	delete(spec.Programs, other)
	if h.memory, err = ebpf.NewCollection(spec); err != nil {
		return nil, fmt.Errorf("load the reader to hold: %w (it needs kernel %d.%d)", err, major, minor)
	}
	h.prog = h.memory.Programs[name]
	if kind == results.StrategyTasksTrace {
		if h.page, err = newLateFault(); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Start gives the reader a CPU and a thread of its own, and keeps the calling
// thread, which is locked, off that CPU: a busy reader leaves it to nobody.
func (h *Reader) Start() (stop func() error, err error) {
	if h == nil {
		return func() error { return nil }, nil
	}
	if err := unix.SchedGetaffinity(0, &h.cpus); err != nil {
		return nil, fmt.Errorf("hold reader: get the CPUs of this thread: %w", err)
	}
	if h.cpus.Count() < 2 {
		return nil, errors.New("hold reader: it needs a second CPU (give a VM --cpus 2)")
	}
	last := 0
	for cpu := range len(h.cpus) * 64 {
		if h.cpus.IsSet(cpu) {
			last = cpu
		}
	}
	var its unix.CPUSet
	its.Set(last)
	h.ours = h.cpus
	h.ours.Clear(last)
	if h.status, err = os.Open(fmt.Sprintf("/proc/self/task/%d/stat", unix.Gettid())); err != nil {
		return nil, fmt.Errorf("hold reader: %w", err)
	}
	if err := unix.SchedSetaffinity(0, &h.ours); err != nil {
		return nil, errors.Join(fmt.Errorf("hold reader: keep off CPU %d: %w", last, err), h.status.Close())
	}
	h.begin, h.watch = make(chan struct{}), make(chan struct{})
	h.ended, h.held = make(chan error, 1), make(chan holdTimes, 1)
	go h.read(&its)
	go h.release()
	return func() error {
		close(h.begin)
		close(h.watch)
		return errors.Join(unix.SchedSetaffinity(0, &h.cpus), h.status.Close())
	}, nil
}

// read runs the program once for each Enter.
func (h *Reader) read(cpus *unix.CPUSet) {
	runtime.LockOSThread() // and never unlocked: the thread ends with it
	pinned := unix.SchedSetaffinity(0, cpus)
	for range h.begin {
		if pinned != nil {
			h.ended <- fmt.Errorf("give the reader a CPU: %w", pinned)
			continue
		}
		opts := &ebpf.RunOptions{}
		if h.page != nil {
			opts = &ebpf.RunOptions{Context: struct{ Page uint64 }{h.page.address()}}
		}
		result, err := h.prog.Run(opts)
		if err == nil && result != 0 {
			err = fmt.Errorf("it returned %d", int32(result))
		}
		h.ended <- err
	}
}

// enterLimit bounds how long a reader may take to begin.
const enterLimit = 10 * time.Second

// Enter starts the reader, if it is its turn, and returns when it is inside its
// section.
func (h *Reader) Enter() error {
	if h == nil {
		return nil
	}
	h.length = h.lengths[h.ops%len(h.lengths)]
	h.ops++
	if h.length == 0 {
		return nil
	}
	// Were this process to die, the reader would leave by itself.
	latest := ktime.Now() + int64(enterLimit+h.length)
	vars := h.memory.Variables
	if err := errors.Join(vars[holdVarEnteredNs].Set(uint64(0)), vars[holdVarLeftNs].Set(uint64(0)),
		vars[holdVarUntilNs].Set(uint64(latest))); err != nil {
		return fmt.Errorf("hold reader: %w", err)
	}
	if h.page != nil {
		if err := h.page.arm(); err != nil {
			return err
		}
	}
	h.begin <- struct{}{}
	if h.page != nil {
		if err := h.page.wait(enterLimit); err != nil {
			return err
		}
	}
	for limit := ktime.Now() + int64(enterLimit); ; time.Sleep(100 * time.Microsecond) {
		entered, err := h.read64(holdVarEnteredNs)
		switch {
		case err != nil:
			return err
		case entered == 0 && ktime.Now() > limit:
			return errors.New("hold reader: the program did not begin")
		case entered != 0:
			h.entered = entered
			h.done.Store(false)
			h.watch <- struct{}{}
			return nil
		}
		select {
		case err := <-h.ended:
			return fmt.Errorf("hold reader: run it: %w", err)
		default:
		}
	}
}

// release lets the reader go each time, once its time is over.
func (h *Reader) release() {
	runtime.LockOSThread()
	_ = unix.SchedSetaffinity(0, &h.ours) // else it is only later
	for range h.watch {
		h.held <- h.releaseOnce()
	}
}

// releaseOnce counts the time from when the operation waits: then call_rcu*()
// has been called for the map.
func (h *Reader) releaseOnce() (t holdTimes) {
	for !h.done.Load() && !h.waits() {
		time.Sleep(50 * time.Microsecond)
	}
	t.waitingNS = ktime.Now()
	until := t.waitingNS + int64(h.length)
	if h.page == nil {
		t.err = h.memory.Variables[holdVarUntilNs].Set(uint64(until))
		return t
	}
	time.Sleep(time.Duration(until - ktime.Now()))
	t.err = h.page.serve()
	return t
}

// waits tells whether the operating thread sleeps uninterruptibly, which in an
// update or a delete it does in synchronize_rcu*() only.
func (h *Reader) waits() bool {
	var buf [256]byte
	n, err := h.status.ReadAt(buf[:], 0)
	if n == 0 && err != nil {
		return false
	}
	// "81 (comm) D 1 …", and the comm may hold anything.
	stat := string(buf[:n])
	i := strings.LastIndex(stat, ") ")
	return i >= 0 && len(stat) > i+2 && (stat[i+2] == 'D' || stat[i+2] == 'I')
}

// Leave waits for the reader's end, and holds the program's own times against
// what was asked for.
func (h *Reader) Leave() error {
	if h == nil {
		return nil
	}
	if h.length == 0 {
		h.until = append(h.until, 0)
		return nil
	}
	h.done.Store(true)
	t := <-h.held
	err := errors.Join(t.err, <-h.ended)
	left, lerr := h.read64(holdVarLeftNs)
	if err := errors.Join(err, lerr); err != nil {
		return fmt.Errorf("hold reader: %w", err)
	}
	if h.entered > t.waitingNS || left < t.waitingNS+int64(h.length) {
		return fmt.Errorf("hold reader: it was inside from %d to %d ns, not from %d for %v", h.entered, left, t.waitingNS, h.length)
	}
	h.times, h.until = append(h.times, float64(left-t.waitingNS)), append(h.until, left)
	return nil
}

func (h *Reader) read64(name string) (int64, error) {
	var v uint64
	if err := h.memory.Variables[name].Get(&v); err != nil {
		return 0, fmt.Errorf("hold reader: read %s: %w", name, err)
	}
	return int64(v), nil
}

// Report adds what Leave noted.
func (h *Reader) Report(r *workloads.Result) {
	if h == nil {
		return
	}
	r.Metrics = map[string]workloads.Metric{MetricName: {Values: h.times, Unit: "ns",
		How: fmt.Sprintf("by the %s reader itself, from when the operation waits", h.kind)}}
	r.HeldUntilNS = h.until
}

// Close unloads the reader, and lets it go if it is still held.
func (h *Reader) Close() error {
	if h == nil {
		return nil
	}
	var err error
	if h.page != nil {
		err = h.page.close()
	}
	if h.memory != nil {
		h.memory.Close()
	}
	return err
}
