// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"context"

	"github.com/cilium/ebpf"
)

// parts is how many parts each side of a comparison has.
const parts = 8

// inTurns does count operations with a probe that is attached, and as many
// without it. Each side is done in parts, and they take turns, neither always
// the first: a machine that gets slower meanwhile does so for both. It stops
// early when ctx ends.
func inTurns(ctx context.Context, probe Probe, count uint64, without, with func(until uint64) error) error {
	for part := range uint64(parts) {
		until := count / parts * (part + 1)
		if part == parts-1 {
			until = count
		}
		order := []bool{true, false}
		if part%2 == 1 {
			order[0], order[1] = order[1], order[0]
		}
		for _, probed := range order {
			side, turn := without, probe.Detach
			if probed {
				side, turn = with, probe.Attach
			}
			if ctx.Err() != nil {
				return nil
			}
			if err := turn(); err != nil {
				return err
			}
			if err := side(until); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeFunc does n operations together and says how long they took.
type takeFunc func() (ns int64, n int, err error)

// probed is operations by one path, to be timed with a probe and without.
type probed struct {
	path     string
	write    bool       // updates; else lookups
	how      string     // they are timed, unless they are loops
	take     takeFunc   // does them, unless they are loops
	loops    *loopTurns // where they are
	function string     // of the kernel, called for each of them, which a probe can time; empty: there is none
	m        *ebpf.Map  // whose calls of it count
	count    uint64
	step     func(n int)
}

// measure does the operations without the probe and, where the tracer can time
// the function, as many with it, in turns, and keeps what they cost.
func (p *probed) measure(ctx context.Context, tracer Tracer, r *Result) (without, with series, err error) {
	take, probedTake := p.take, p.take
	if p.loops != nil {
		take, probedTake = p.loops.take, p.loops.once.take
	}
	alone := func(until uint64) error { return without.extend(ctx, until, take, p.step) }
	if p.function != "" && tracer != nil && ctx.Err() == nil {
		err = tracer.Time("lookup."+p.path+".function", p.function, p.m, func(probe Probe) (uint64, error) {
			err := inTurns(ctx, probe, p.count, alone, func(until uint64) error { return with.extend(ctx, until, probedTake, p.step) })
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
func (p *probed) keep(r *Result, without, with series) {
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

// series is what batches cost, each for one operation.
type series struct {
	values []float64
	ops    uint64
	ends   []int // of its parts, in values
}

// extend takes batches until the series has that many operations, or until ctx
// ends. They are another part of it.
func (s *series) extend(ctx context.Context, until uint64, take takeFunc, step func(n int)) error {
	for s.ops < until && ctx.Err() == nil {
		ns, n, err := take()
		if err != nil {
			return err
		}
		s.values = append(s.values, float64(ns)/float64(n))
		s.ops += uint64(n)
		step(n)
	}
	s.ends = append(s.ends, len(s.values))
	return nil
}

// part is one of its parts; empty where there was no operation left to do.
func (s *series) part(n int) []float64 {
	if n >= len(s.ends) {
		return nil
	}
	from := 0
	if n > 0 {
		from = s.ends[n-1]
	}
	return s.values[from:s.ends[n]]
}

// probeCost is the metric of what a probe adds. The base of each part is that
// done without it just before or after: what slows the machine down for a while
// is in both.
func probeCost(with, without series, function string) Metric {
	m := Metric{Unit: "ns/op", Difference: true, How: "with the probe on " + function +
		", less the median of those without just before or after; nothing above is less this"}
	for n := range with.ends {
		base := without.part(n)
		if len(base) == 0 { // one batch is as much as several parts
			base = without.values
		}
		m.Values = append(m.Values, less(with.part(n), medianOf(base))...)
	}
	return m
}

func less(values []float64, base float64) []float64 {
	out := make([]float64, len(values))
	for j, v := range values {
		out[j] = v - base
	}
	return out
}
