// SPDX-License-Identifier: Apache-2.0

//go:build linux

package redirect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// Run times bursts, counts the bulks of as many, and lets maps die.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	err := i.net.do(func() error { return i.measure(ctx, progress) })
	var missing *missingError
	if errors.As(err, &missing) {
		i.result.Failures, err = append(i.result.Failures, missing.Error()), nil
	}
	i.result.Interrupted = ctx.Err() != nil
	return i.result, err
}

func (i *instance) measure(ctx context.Context, progress func(done, total uint64)) (err error) {
	p, err := i.newPlace("mp_xdp_to")
	if err != nil {
		return err
	}
	total := uint64(i.cfg.Bursts)*2 + uint64(i.cfg.maps())
	bursts := func() (took []float64, err error) {
		for range i.cfg.Bursts {
			if ctx.Err() != nil {
				break
			}
			var ns float64
			span, err := mapops.Timed(func() (err error) {
				ns, err = i.burst(measured, p)
				return err
			})
			if err != nil {
				return took, err
			}
			if ns > 0 {
				took = append(took, ns/float64(i.cfg.Frames))
			}
			i.record(span.End - span.Begin)
			i.result.Ops++
			progress(i.result.Ops, total)
		}
		return took, nil
	}
	took, err := bursts()
	if err == nil {
		i.keepTimes(took)
		err = i.bulks(func() error { _, err := bursts(); return err })
	}
	if err == nil && i.cfg.maps() > 0 {
		err = i.die(ctx, p, func() { i.result.Ops++; progress(i.result.Ops, total) })
		p = nil // it goes on
	}
	if p != nil {
		err = errors.Join(err, i.sources[measured].letGo(), p.Close())
	}
	return errors.Join(err, i.arrivals(measured, &i.result, "redirect"))
}

// keepTimes keeps what a frame took, by what the source measures.
func (i *instance) keepTimes(took []float64) {
	if i.noLive == nil {
		i.result.Findings = append(i.result.Findings, "frames are live ones of BPF_PROG_TEST_RUN")
		i.result.Add("redirect.frame.live", "ns/frame", "BPF_PROG_TEST_RUN with live frames: its duration, in which devices receive, too", took)
		return
	}
	i.result.Findings = append(i.result.Findings, fmt.Sprintf("frames are segments of a packet that a veth receives in driver mode (%v)", i.noLive))
	i.result.Add("redirect.frame.segments", "ns/frame", "sendto(2) of a packet that becomes a burst of frames, in which devices receive, too", took)
}

// arrivals keeps how many frames of a stream were redirected, and how many arrived.
func (i *instance) arrivals(s stream, r *workloads.Result, metric string) error {
	sent, arrived, err := i.frames(s)
	if err == nil {
		r.Add(metric+".sent", "frames", "redirected, by the program that did so", []float64{float64(sent)})
		r.Add(metric+".arrived", "frames", "counted by a program where they arrive", []float64{float64(arrived)})
	}
	return err
}

// freedWithin is far above what a program waits for before it drops its map.
const freedWithin = 10 * time.Second

// die lets maps die, each after a burst that it was used for. Meanwhile other frames
// pass, by the place, which it closes when that ends.
func (i *instance) die(ctx context.Context, p *place, died func()) error {
	i.pass(p)
	for range i.cfg.Count {
		if ctx.Err() != nil {
			return nil
		}
		dying, err := i.newPlace(i.prefix)
		if err != nil {
			return err
		}
		id, err := mapops.MapID(dying.to)
		if err == nil {
			_, err = i.burst(measured, dying)
		}
		if err := errors.Join(err, i.sources[measured].letGo(), dying.Close()); err != nil {
			return err
		}
		if err := mapops.AwaitLastPut(id, time.Now().Add(freedWithin)); err != nil {
			return err
		}
		i.result.LastPuts++
		died()
	}
	return nil
}

// pass has frames pass until Close or Conclude.
func (i *instance) pass(p *place) {
	var ctx context.Context
	ctx, i.stop = context.WithCancel(context.Background())
	i.passes.Go(func() {
		i.passError = i.net.do(func() (err error) {
			for err == nil && ctx.Err() == nil {
				_, err = i.burst(passing, p)
			}
			return errors.Join(err, i.sources[passing].letGo(), p.Close())
		})
	})
}

// Conclude ends what passed while maps died and were freed, all of which must have
// arrived.
func (i *instance) Conclude(_ []workloads.Death, r *workloads.Result) {
	if i.stop == nil { // it came to no death
		return
	}
	i.stop()
	i.passes.Wait()
	if i.passError != nil {
		r.Failures = append(r.Failures, fmt.Sprintf("while maps died: %v", i.passError))
	}
	if err := i.arrivals(passing, r, "redirect.passing"); err != nil {
		r.Warnings = append(r.Warnings, err.Error())
	}
}

// Functions of the kernel that move frames: those of a queue, and all that wait. The
// names are those of calls and begin those of metrics.
const (
	bulkCalls  = "redirect.bulk"
	flushCalls = "redirect.flush"
)

// bulks runs f with what counts frames of a bulk and of a flush.
func (i *instance) bulks(f func() error) error {
	if i.tracer == nil {
		return nil
	}
	function, prog := "bq_xmit_all", "mp_bulk_dev"
	if !i.cfg.byDevice() {
		function, prog = "bq_flush_to_queue", "mp_bulk_cpu"
	}
	before, _, err := i.frames(measured)
	if err != nil {
		return err
	}
	calls, err := i.tracer.Calls(map[string][]string{bulkCalls: {function}, flushCalls: {"xdp_do_flush"}}, func() error {
		attached, err := i.count(prog, "mp_flush")
		if err != nil {
			return err
		}
		return errors.Join(f(), attached())
	})
	if err != nil {
		return err
	}
	after, _, err := i.frames(measured)
	if err != nil {
		return err
	}
	return i.keepBulks(calls, function, after-before)
}

// count attaches programs that count until detach; a kernel that refuses one is a warning.
func (i *instance) count(programs ...string) (detach func() error, err error) {
	var links []link.Link
	detach = func() (err error) {
		for _, l := range links {
			err = errors.Join(err, l.Close())
		}
		return err
	}
	for _, name := range programs {
		spec := i.spec.Copy()
		spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
		delete(spec.Maps, "mp_xdp_to")
		delete(spec.Maps, ".rodata")
		spec.Variables = nil
		coll, err := ebpf.NewCollectionWithOptions(spec, *i.counts.shared())
		if err != nil {
			i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("%s: bulks are not counted: %v", i.spec.Programs[name].AttachTo, err))
			continue
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: coll.Programs[name]})
		coll.Close()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("attach %s: %w", name, err), detach())
		}
		links = append(links, l)
	}
	return detach, nil
}

// sizes are the values of a count by size, one for each that was counted, and what they
// come to together.
func sizes(m *ebpf.Map) (values []float64, frames uint64, err error) {
	for size := range m.MaxEntries() {
		n, err := sum(m, size)
		if err != nil {
			return nil, 0, err
		}
		frames += n * uint64(size)
		for range n {
			values = append(values, float64(size))
		}
	}
	return values, frames, nil
}

// keepBulks keeps how many frames were moved at once, and how long that took.
func (i *instance) keepBulks(calls map[string]workloads.Calls, function string, frames uint64) error {
	bulks, counted, err := sizes(i.counts.Bulks)
	if err != nil {
		return err
	}
	flushes, flushed, err := sizes(i.counts.Flushes)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		what   string
		frames uint64
		values []float64
	}{{"bulks", counted, bulks}, {"flushes", flushed, flushes}} {
		if len(c.values) > 0 && c.frames != frames {
			i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("%s had %d frames, of %d that were redirected", c.what, c.frames, frames))
		}
	}
	i.result.Add(bulkCalls+".frames", "frames", "frames of a bulk: the queue's at "+function, bulks)
	i.result.Add(flushCalls+".frames", "frames", "frames in bulks from one xdp_do_flush to the end of the next", flushes)
	i.keepCalls(calls, frames)
	return nil
}

// keepCalls keeps how long the calls took that moved so many frames.
func (i *instance) keepCalls(calls map[string]workloads.Calls, frames uint64) {
	for name, c := range calls {
		var took []float64
		sum := 0.0
		for _, call := range c.List {
			took = append(took, float64(call.EndNS-call.BeginNS))
			sum += took[len(took)-1]
		}
		i.result.Add(name, "ns", c.Function+", fentry to fexit", took)
		if name == bulkCalls && c.Unseen == 0 && frames > 0 && len(took) > 0 {
			i.result.Add(name+".frame", "ns/frame", "all calls of "+c.Function+" together, by the frames that were redirected", []float64{sum / float64(frames)})
		}
		if c.Unseen > 0 {
			i.result.Warnings = append(i.result.Warnings, fmt.Sprintf("%d calls of %s were not timed", c.Unseen, c.Function))
		}
	}
}
