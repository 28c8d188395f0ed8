// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mapcalls

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// instance makes the calls.
type instance struct {
	cfg    *Workload
	cpus   int
	tracer workloads.Tracer
	result workloads.Result
}

// Run makes every kind of call on one map after the other.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	total := uint64(len(i.cfg.Maps)*len(i.cfg.Ops)) * uint64(i.cfg.Count)
	for _, name := range i.cfg.Maps {
		if err := i.onMap(ctx, name, func() { i.result.Ops++; progress(i.result.Ops, total) }); err != nil {
			return i.result, fmt.Errorf("%s: %w", name, err)
		}
	}
	return i.result, nil
}

func (i *instance) onMap(ctx context.Context, name string, step func()) (err error) {
	kind, _ := mapops.FindKind(name)
	f, err := newFilled(i.cfg, kind, i.cpus)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tid := mapops.ProbesTID()
	var made []calls
	waits, err := i.traced(func() error {
		for _, name := range i.cfg.Ops {
			c, err := i.calls(ctx, f, findOp(name), step)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			made = append(made, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range made {
		i.keep(f, c, waits, tid)
	}
	return nil
}

// calls are those of one kind.
type calls struct {
	op      op
	spans   []mapops.Span
	refusal error // of the last
}

// calls makes one kind of call so many times. What it deletes it puts back.
func (i *instance) calls(ctx context.Context, f *filled, o op, step func()) (calls, error) {
	made := calls{op: o}
	for n := range i.cfg.Count {
		if ctx.Err() != nil {
			i.result.Interrupted = true
			break
		}
		span, done, err := i.one(f, o, int(n%i.cfg.Batch))
		if err != nil && !mapops.Refused(err) {
			return made, err
		}
		made.spans, made.refusal = append(made.spans, span), err
		if o.deletes && err == nil {
			if err := f.fill(done); err != nil {
				return made, err
			}
		}
		step()
	}
	return made, nil
}

// one makes a call, and checks what it gave. A deletion is of the first key.
func (i *instance) one(f *filled, o op, key int) (span mapops.Span, done int, err error) {
	if o.deletes {
		key = 0
	}
	clear(f.read)
	span, err = mapops.Timed(func() error { done, err = f.do(o, key); return err })
	if err == nil && o.reads {
		if wrong := f.check(o, key, done); wrong != nil {
			i.result.Failures = append(i.result.Failures, fmt.Sprintf("%s: %s %v", f.kind.Name, o.name, wrong))
		}
	}
	return span, done, err
}

// keep sums up what calls of one kind took, and the waits within them.
func (i *instance) keep(f *filled, made calls, traced map[string]workloads.Calls, tid int) {
	if len(made.spans) == 0 {
		return
	}
	o := made.op
	name, what := "calls."+f.kind.Name+"."+o.name, o.name
	if o.batched {
		what += fmt.Sprintf(" of %d", i.cfg.Batch)
	}
	what = f.kind.Name + ": " + what
	if made.refusal != nil {
		name, what = name+".refused", what+": refused ("+mapops.ErrnoName(made.refusal)+")"
	} else if o.reads && f.inner != nil {
		what += " gives ids of inner maps"
	}
	var took, waits, waiting []float64
	for _, s := range made.spans {
		n, ns := 0.0, 0.0
		for _, c := range traced {
			for _, call := range c.List {
				if s.Has(call, tid) {
					n, ns = n+1, ns+float64(call.EndNS-call.BeginNS)
				}
			}
		}
		took, waits = append(took, s.NS()), append(waits, n)
		if n > 0 {
			waiting = append(waiting, ns)
		}
	}
	i.result.Add(name, "ns", "around one bpf(2)", took)
	if len(traced) == 0 { // nothing was timed
		i.result.Findings = append(i.result.Findings, what)
		return
	}
	i.result.Add(name+".waits", "waits/op", "calls of synchronize_rcu and synchronize_rcu_expedited within it, on its thread", waits)
	i.result.Add(name+".waiting", "ns", "what of it these took together, fentry to fexit, where there were any", waiting)
	fewest, most := slices.Min(waits), slices.Max(waits)
	times := fmt.Sprintf("%.0f", fewest)
	if fewest != most {
		times += fmt.Sprintf(" to %.0f", most)
	}
	i.result.Findings = append(i.result.Findings, fmt.Sprintf("%s; waits of each of %d calls: %s", what, len(made.spans), times))
}

// traced runs f, with the waits meanwhile where something can time them.
func (i *instance) traced(f func() error) (map[string]workloads.Calls, error) {
	if i.tracer == nil {
		return nil, f()
	}
	return i.tracer.Calls(map[string][]string{"waits": {"synchronize_rcu"}, "waits.expedited": {"synchronize_rcu_expedited"}}, f)
}

// WatchPrefix is empty: nothing dies while it is watched.
func (i *instance) WatchPrefix() string { return "" }

// Note is empty: there is no strategy.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// Close has nothing left to drop.
func (i *instance) Close() error { return nil }
