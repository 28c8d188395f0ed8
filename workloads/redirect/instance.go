// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// counters are the maps that all programs share.
type counters struct {
	Sent      *ebpf.Map `ebpf:"mp_xdp_sent"`
	Arrived   *ebpf.Map `ebpf:"mp_xdp_arrived"`
	Bulks     *ebpf.Map `ebpf:"mp_xdp_bulks"`
	Flushes   *ebpf.Map `ebpf:"mp_xdp_flushes"`
	Unflushed *ebpf.Map `ebpf:"mp_xdp_unflushed"`
}

// shared has them replace the maps of a collection.
func (c *counters) shared() *ebpf.CollectionOptions {
	return &ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{
		"mp_xdp_sent": c.Sent, "mp_xdp_arrived": c.Arrived, "mp_xdp_bulks": c.Bulks, "mp_xdp_flushes": c.Flushes, "mp_xdp_unflushed": c.Unflushed,
	}}
}

// sum is a counter's, of all CPUs.
func sum(m *ebpf.Map, key uint32) (total uint64, err error) {
	var each []uint64
	if err := m.Lookup(key, &each); err != nil {
		return 0, fmt.Errorf("read a counter: %w", err)
	}
	for _, n := range each {
		total += n
	}
	return total, nil
}

// instance has a place that frames are redirected to, and sources of frames.
type instance struct {
	cfg    *Workload
	prefix string
	spec   *ebpf.CollectionSpec
	counts counters
	ends   struct {
		Device *ebpf.Program `ebpf:"mp_at_device"`
		CPU    *ebpf.Program `ebpf:"mp_at_cpu"`
		Rest   *ebpf.Program `ebpf:"mp_rest"`
	}
	net       *namespace
	device    int // that frames are redirected to
	cpu       int
	arrival   link.Link // of the program at the device's other end
	sources   [2]source // by stream
	noLive    error     // why the kernel makes no live frames
	tracer    workloads.Tracer
	record    func(ns int64)
	result    workloads.Result
	stop      context.CancelFunc // of what passes while maps die
	passes    sync.WaitGroup
	passError error
}

func newInstance(w *Workload) (_ *instance, err error) {
	i := &instance{cfg: w, prefix: mapops.UniqueName("mp_redir"), record: func(int64) {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	if i.spec, err = loadRedirect(); err != nil {
		return nil, fmt.Errorf("read embedded BPF programs: %w", err)
	}
	if err := i.spec.LoadAndAssign(&i.counts, nil); err != nil {
		return nil, fmt.Errorf("make counters: %w", err)
	}
	if err := i.spec.LoadAndAssign(&i.ends, i.counts.shared()); err != nil {
		return nil, fmt.Errorf("load the programs that count frames: %w", err)
	}
	if i.net, err = newNamespace(); err != nil {
		return nil, err
	}
	return i, i.net.do(i.prepare)
}

// prepare makes the devices that frames go through, and their sources.
func (i *instance) prepare() (err error) {
	if i.cfg.byDevice() {
		pair, err := newPair("mpout", "mpend")
		if err != nil {
			return err
		}
		i.device = pair[0]
		if i.arrival, err = attachXDP(i.ends.Device, pair[1]); err != nil {
			return err
		}
	} else {
		var online unix.CPUSet
		if err := unix.SchedGetaffinity(0, &online); err != nil {
			return fmt.Errorf("find a CPU: %w", err)
		}
		for cpu := range len(online) * 64 {
			if online.IsSet(cpu) {
				i.cpu = cpu
			}
		}
	}
	if _, i.noLive = (live{packet(measured, 1)}).send(i.ends.Rest, 1); i.noLive != nil && !errors.Is(i.noLive, unix.EINVAL) {
		return i.noLive
	}
	for s := range i.sources {
		if stream(s) == measured && i.noLive == nil {
			i.sources[s] = live{packet(measured, 1)}
		} else if i.sources[s], err = newSegments(stream(s), i.ends.Rest); err != nil {
			return err
		}
	}
	return nil
}

// place is a program that redirects, with its map; nil: it has none.
type place struct {
	prog *ebpf.Program
	to   *ebpf.Map
}

// Close drops the program last: the map's last reference is the program's, long after
// this one.
func (p *place) Close() error { return errors.Join(p.to.Close(), p.prog.Close()) }

// newPlace loads a program that redirects, and fills its map, which has the name.
func (i *instance) newPlace(name string) (_ *place, err error) {
	spec, key := i.spec.Copy(), uint32(0)
	switch i.cfg.To {
	case toIfindex:
		key = uint32(i.device)
	case toCPUMap:
		key = uint32(i.cpu)
	}
	if err := spec.Variables["to"].Set(key); err != nil {
		return nil, err
	}
	if i.cfg.To == toIfindex {
		var o struct {
			Prog *ebpf.Program `ebpf:"mp_to_ifindex"`
		}
		if err := spec.LoadAndAssign(&o, i.counts.shared()); err != nil {
			return nil, fmt.Errorf("load a program that redirects: %w", err)
		}
		return &place{prog: o.Prog}, nil
	}
	to := spec.Maps["mp_xdp_to"]
	to.Name, to.Type, to.MaxEntries = name, mapTypes[i.cfg.To], key+1
	value := []uint32{uint32(i.device)}
	if i.cfg.To == toCPUMap {
		value = []uint32{queueFrames, uint32(i.ends.CPU.FD())}
	}
	to.ValueSize, to.Value = uint32(4*len(value)), nil
	var o struct {
		Prog *ebpf.Program `ebpf:"mp_to_map"`
		To   *ebpf.Map     `ebpf:"mp_xdp_to"`
	}
	if err := spec.LoadAndAssign(&o, i.counts.shared()); err != nil {
		return nil, fmt.Errorf("load a program that redirects by a %s: %w", i.cfg.To, err)
	}
	p := &place{o.Prog, o.To}
	if err := o.To.Put(key, value); err != nil {
		return nil, errors.Join(fmt.Errorf("fill a %s: %w", i.cfg.To, err), p.Close())
	}
	return p, nil
}

// queueFrames is what the queue of a CPU holds: more than can be under way.
const queueFrames = 4 * maxFrames

// arriveWithin is how long frames may be under way.
const arriveWithin = 30 * time.Second

// burst sends one and waits until all of its frames were redirected, which may be after
// the source has sent them, and have arrived.
func (i *instance) burst(s stream, p *place) (ns float64, err error) {
	before, _, err := i.frames(s)
	if err != nil {
		return 0, err
	}
	if ns, err = i.sources[s].send(p.prog, i.cfg.Frames); err != nil {
		return 0, err
	}
	want := before + uint64(i.cfg.Frames)
	for deadline := time.Now().Add(arriveWithin); ; time.Sleep(20 * time.Microsecond) {
		sent, arrived, err := i.frames(s)
		if ns == 0 { // a part, and no more of it will come
			want = sent
		}
		switch {
		case err != nil || sent == want && arrived == want:
			return ns, err
		case time.Now().After(deadline):
			return ns, &missingError{want, sent, arrived}
		}
	}
}

// frames are those of a stream that were redirected, and that have arrived.
func (i *instance) frames(s stream) (sent, arrived uint64, err error) {
	if arrived, err = sum(i.counts.Arrived, uint32(s)); err == nil {
		sent, err = sum(i.counts.Sent, uint32(s))
	}
	return sent, arrived, err
}

// missingError says that frames were not redirected, or have not arrived.
type missingError struct{ want, sent, arrived uint64 }

func (e *missingError) Error() string {
	return fmt.Sprintf("redirect: FAIL: of %d frames %d were redirected, and %d arrived", e.want, e.sent, e.arrived)
}

// WatchPrefix begins the names of the maps that die, and of no others; there are none
// without a map.
func (i *instance) WatchPrefix() string {
	if i.cfg.maps() == 0 {
		return ""
	}
	return i.prefix
}

// Note is empty: nothing is arranged.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// SetRecorder implements workloads.Recorded.
func (i *instance) SetRecorder(record func(ns int64)) { i.record = record }

// Close ends what passes, and takes the devices away.
func (i *instance) Close() (err error) {
	if i.stop != nil {
		i.stop()
		i.passes.Wait()
	}
	for _, s := range i.sources {
		if s != nil { // where Setup failed
			err = errors.Join(err, s.Close())
		}
	}
	if i.arrival != nil {
		err = errors.Join(err, i.arrival.Close())
	}
	for _, p := range []*ebpf.Program{i.ends.Device, i.ends.CPU, i.ends.Rest} {
		err = errors.Join(err, p.Close())
	}
	for _, m := range []*ebpf.Map{i.counts.Sent, i.counts.Arrived, i.counts.Bulks, i.counts.Flushes, i.counts.Unflushed} {
		err = errors.Join(err, m.Close())
	}
	if i.net != nil {
		err = errors.Join(err, i.net.file.Close())
	}
	return err
}
