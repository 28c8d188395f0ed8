// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapops

import (
	"context"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/internal/median"
	"github.com/mapprof/mapprof/workloads"
)

// TimedBatch does some operations, timed together, and says how long they took
// and how many they were.
type TimedBatch func() (ns int64, n int, err error)

// ProbedPath is operations by one path, to be timed with a probe and without.
type ProbedPath struct {
	Path     string
	Name     string      // of its figure; empty: what it does, and the path
	Write    bool        // updates; else lookups
	How      string      // they are timed, unless they are loops
	Batch    TimedBatch  // does them, unless they are loops
	Loops    *LoopTurns  // where they are
	Function string      // of the kernel, called for each of them, which a probe can time; empty: there is none
	Map      *ebpf.Map   // whose calls of it count
	Sample   uint64      // one call in so many is timed, a power of two; 0 and 1: each
	Count    uint64      // of operations, without the probe and with it
	OnBatch  func(n int) // called after each
	// WholeCalls says that a batch is one call, whose own cost is a figure too.
	WholeCalls bool

	began           time.Time
	calls, elements []float64 // each whole call's nanoseconds and elements, without the probe
}

// Measure does the operations without the probe and, where the tracer can time
// the function, as many with it, in turns, and keeps what they cost. The
// calling goroutine keeps its thread.
func (p *ProbedPath) Measure(ctx context.Context, tracer workloads.Tracer, r *workloads.Result) (without, with Series, err error) {
	p.began = time.Now()
	batch, probedBatch := p.Batch, p.Batch
	if p.Loops != nil {
		batch, probedBatch = p.Loops.batch, p.Loops.once.batch
	}
	if p.WholeCalls {
		batch = p.wholeCall
	}
	alone := func(until uint64) error { return without.extend(ctx, until, batch, p.OnBatch) }
	if p.Function != "" && tracer != nil && ctx.Err() == nil {
		err = tracer.Time(p.name()+".function", p.Function, p.Map, max(1, p.Sample), func(probe workloads.Probe) (uint64, error) {
			err := inTurns(ctx, probe, p.Count, alone, func(until uint64) error { return with.extend(ctx, until, probedBatch, p.OnBatch) })
			return with.Ops, err
		})
	}
	if err == nil {
		err = alone(p.Count) // all of it where there was nothing to take turns with
	}
	if err == nil && len(without.values) > 0 {
		p.keep(r, without, with)
	}
	return without, with, err
}

// wholeCall is a batch whose own cost is kept.
func (p *ProbedPath) wholeCall() (ns int64, n int, err error) {
	if ns, n, err = p.Batch(); err == nil {
		p.calls, p.elements = append(p.calls, float64(ns)), append(p.elements, float64(n))
	}
	return ns, n, err
}

func (p *ProbedPath) name() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Write:
		return "update." + p.Path
	}
	return "lookup." + p.Path
}

// keep puts what was measured into the result.
func (p *ProbedPath) keep(r *workloads.Result, without, with Series) {
	name := p.name()
	m := workloads.Metric{Values: without.values, Unit: "ns/op", How: p.How}
	known := true
	if p.Loops != nil {
		m, known = p.Loops.metric(r, name)
	}
	if p.Name == "" && !p.Write && p.Function == "" {
		m.How += "; no probe sees it, so none adds to it"
	}
	figures := map[string]workloads.Metric{}
	if known {
		figures[name] = m
	}
	if len(p.calls) > 0 {
		figures[name+".call"] = workloads.Metric{Values: p.calls, Unit: "ns",
			How: fmt.Sprintf("whole calls, timed around; at the median one gave %.0f elements", median.Of(p.elements))}
	}
	if len(with.values) > 0 {
		figures["probe."+p.Path] = probeCost(with, without, p.Function)
	}
	ended := time.Now()
	for name, m := range figures {
		m.Began, m.Ended = p.began, ended
		r.Metrics[name] = m
	}
}
