// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"

	"github.com/cilium/ebpf"
)

// timedBatch does some operations, timed together, and says how long they took
// and how many they were.
type timedBatch func() (ns int64, n int, err error)

// probedPath is operations by one path, to be timed with a probe and without.
type probedPath struct {
	path     string
	write    bool        // updates; else lookups
	how      string      // they are timed, unless they are loops
	batch    timedBatch  // does them, unless they are loops
	loops    *loopTurns  // where they are
	function string      // of the kernel, called for each of them, which a probe can time; empty: there is none
	m        *ebpf.Map   // whose calls of it count
	count    uint64      // of operations, without the probe and with it
	onBatch  func(n int) // called after each
}

// measure does the operations without the probe and, where the tracer can time
// the function, as many with it, in turns, and keeps what they cost. The
// calling goroutine keeps its thread.
func (p *probedPath) measure(ctx context.Context, tracer Tracer, r *Result) (without, with series, err error) {
	batch, probedBatch := p.batch, p.batch
	if p.loops != nil {
		batch, probedBatch = p.loops.batch, p.loops.once.batch
	}
	alone := func(until uint64) error { return without.extend(ctx, until, batch, p.onBatch) }
	if p.function != "" && tracer != nil && ctx.Err() == nil {
		err = tracer.Time("lookup."+p.path+".function", p.function, p.m, func(probe Probe) (uint64, error) {
			err := inTurns(ctx, probe, p.count, alone, func(until uint64) error { return with.extend(ctx, until, probedBatch, p.onBatch) })
			return with.ops, err
		})
	}
	if err == nil {
		err = alone(p.count) // all of it where there was nothing to take turns with
	}
	if err == nil && len(without.values) > 0 {
		p.keep(r, without, with)
	}
	return without, with, err
}

// keep puts what was measured into the result.
func (p *probedPath) keep(r *Result, without, with series) {
	name := "lookup." + p.path
	if p.write {
		name = "update." + p.path
	}
	m := Metric{Values: without.values, Unit: "ns/op", How: p.how}
	known := true
	if p.loops != nil {
		m, known = p.loops.metric(r, name)
	}
	if !p.write && p.function == "" {
		m.How += "; no probe sees it, so none adds to it"
	}
	if known {
		r.Metrics[name] = m
	}
	if len(with.values) > 0 {
		r.Metrics["probe."+p.path] = probeCost(with, without, p.function)
	}
}
