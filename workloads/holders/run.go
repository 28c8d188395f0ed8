// SPDX-License-Identifier: Apache-2.0

//go:build linux

package holders

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// instance makes one map after the other.
type instance struct {
	cfg    *Workload
	prefix string
	ask    func(mapID uint32) (workloads.Holding, error) // nil: see why
	why    error
	tracer workloads.Tracer
	record func(ns int64)
	result workloads.Result
	held   []heldMap
	freed  workloads.Calls // of bpf_prog_free_deferred
}

// heldMap is one map, with times of CLOCK_MONOTONIC.
type heldMap struct {
	way     *way
	id      uint32
	closed  int64 // the workload's own close begins
	letGo   int64 // what ends the holder begins
	holding workloads.Holding
}

// Run makes the maps, and lets their holders go.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	err := i.traced(func() error {
		for n := range ways {
			if !slices.Contains(i.cfg.By, ways[n].name) {
				continue
			}
			for range i.cfg.Count {
				if ctx.Err() != nil {
					i.result.Interrupted = true
					return nil
				}
				err := i.one(&ways[n])
				if refused := new(refusedError); errors.As(err, &refused) {
					i.result.Findings = append(i.result.Findings, fmt.Sprintf("%s: absent: this kernel refuses it: %v", ways[n].name, refused))
					break
				}
				if err != nil {
					return fmt.Errorf("--by %s: %w", ways[n].name, err)
				}
				progress(i.result.Ops, i.cfg.Deaths())
			}
		}
		return nil
	})
	if err == nil && len(i.held) == 0 && !i.result.Interrupted {
		err = fmt.Errorf("no map was held: %s", strings.Join(i.result.Findings, "; "))
	}
	return i.result, err
}

// refusedError is of a holder that the kernel doesn't have.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// lastPutWithin is more than any holder takes.
const lastPutWithin = 2 * time.Minute

// one takes one map from its creation to its last put.
func (i *instance) one(by *way) error {
	m, err := mapops.NewMap(mapSpec(fmt.Sprintf("%s%d", i.prefix, i.result.Ops%100), by.flags))
	if err != nil {
		return err
	}
	id, err := mapops.MapID(m)
	if err == nil && len(i.held) == 0 {
		err = i.takeReferences(m, id)
	}
	if err != nil {
		return errors.Join(err, m.Close())
	}
	end, err := by.hold(m)
	if err != nil {
		i.result.LastPuts++
		return errors.Join(&refusedError{err}, m.Close())
	}
	h := heldMap{way: by, id: uint32(id), closed: ktime.Now()}
	if err := m.Close(); err != nil {
		return errors.Join(err, end())
	}
	alone := time.Now()
	if i.ask != nil {
		if h.holding, err = i.ask(h.id); err != nil {
			return errors.Join(err, end())
		}
	}
	time.Sleep(i.cfg.After - time.Since(alone))
	h.letGo = ktime.Now()
	if err := end(); err != nil {
		return err
	}
	if err := mapops.AwaitLastPut(id, time.Now().Add(lastPutWithin)); err != nil {
		return err
	}
	i.record(ktime.Now() - h.closed)
	i.held = append(i.held, h)
	i.result.LastPuts++
	i.result.Ops++
	return nil
}

// takeReferences takes as many as are asked for, each by a descriptor of its own, has
// them counted, and drops them. Up to 5.4 a map had 32,768 at most (BPF_MAX_REFCNT).
func (i *instance) takeReferences(m *ebpf.Map, id ebpf.MapID) (err error) {
	want := int(i.cfg.References)
	if want == 0 {
		return nil
	}
	if err := mapops.RaiseFDs(uint64(want) + otherFiles); err != nil {
		return err
	}
	taken := make([]*ebpf.Map, 0, want)
	defer func() {
		for _, t := range taken {
			err = errors.Join(err, t.Close())
		}
	}()
	for len(taken) < want {
		t, refused := ebpf.NewMapFromID(id)
		if refused != nil {
			i.result.Failures = append(i.result.Failures, fmt.Sprintf("references: FAIL: %d of %d were taken, then: %v", len(taken), want, refused))
			return nil
		}
		taken = append(taken, t)
	}
	text := fmt.Sprintf("references: %d were taken beside the first, none was refused", want)
	if i.ask != nil {
		h, err := i.ask(uint32(id))
		if err != nil {
			return err
		}
		text += fmt.Sprintf("; the map had %d", h.References)
		if h.References != uint64(want)+1 {
			i.result.Failures = append(i.result.Failures, fmt.Sprintf("references: FAIL: %d were taken beside the first, and the map had %d", want, h.References))
		}
	}
	i.result.Findings = append(i.result.Findings, text)
	return nil
}

// otherFiles is more than the files that a trial has open beside.
const otherFiles = 1024

// Conclude adds what the deaths tell.
func (i *instance) Conclude(deaths []workloads.Death, r *workloads.Result) {
	byID := map[uint32]workloads.Death{}
	for _, d := range deaths {
		byID[d.MapID] = d
	}
	for n := range ways {
		of := func(h heldMap) bool { return h.way == &ways[n] }
		if at := slices.IndexFunc(i.held, of); at >= 0 {
			i.concludeWay(&ways[n], slices.DeleteFunc(slices.Clone(i.held), func(h heldMap) bool { return !of(h) }), byID, r)
		}
	}
}

// concludeWay sums the maps of one holder up.
func (i *instance) concludeWay(by *way, held []heldMap, deaths map[uint32]workloads.Death, r *workloads.Result) {
	var holding, letting, waits, limbo []float64
	who := tally{}
	for _, h := range held {
		d, ok := deaths[h.id]
		if !ok {
			continue // lost, as the trial says
		}
		holding = append(holding, float64(d.PutNS-h.closed))
		letting = append(letting, float64(d.PutNS-h.letGo))
		limbo = append(limbo, float64(d.FreedNS-d.PutNS))
		place := lastPut(d)
		if free, ok := i.freed.Around(d.PutNS, h.letGo); ok && by.program {
			waits = append(waits, float64(free.BeginNS-h.letGo))
			place = fmt.Sprintf("%s of %s, after the program's own grace period", comm(d), i.freed.Function)
		}
		who.add(place)
	}
	metric := func(name, how string, values []float64) {
		r.Add("holders."+name+"."+by.name, "ns", how, values)
	}
	metric("held", "from the workload's own close(2) to the last put", holding)
	if len(letting) > 0 && slices.Min(letting) >= 0 { // else it died before
		metric("last_put", "from where the holder lets go to the last put", letting)
	}
	metric("program_free", "from the close(2) of the program's only descriptor to "+i.freed.Function+": the program's own grace period, and the worker", waits)
	metric("limbo", "from the last put to the return of bpf_map_free_deferred", limbo)
	r.Findings = append(r.Findings, fmt.Sprintf("%s: %s; last put by %s", by.name, i.seen(by, held, r), who))
}

// seen tells who was seen to hold the maps of one holder after the workload let go.
func (i *instance) seen(by *way, held []heldMap, r *workloads.Result) string {
	if i.ask == nil {
		return fmt.Sprintf("who held it was not asked (%v)", i.why)
	}
	texts := tally{}
	for _, h := range held {
		texts.add(holdingText(by, h.holding))
		if fault := wrong(by, h.holding); fault != "" {
			r.Failures = append(r.Failures, fmt.Sprintf("holders: FAIL: %s: map %d %s", by.name, h.id, fault))
		}
	}
	return texts.String()
}

// wrong is what can't be of a map that has one holder; empty: nothing.
func wrong(by *way, h workloads.Holding) string {
	named := slices.ContainsFunc(h.Holders, func(o workloads.Holder) bool { return o.Kind == by.kind })
	switch {
	case !h.There && by.name == "iterator-fd": // before f76fa6b33805
		return ""
	case !h.There:
		return "is gone while it is held"
	case by.kind == "" && len(h.Holders) == 0 && (h.Unaccounted == 1 || len(h.Unread) > 0):
		return ""
	case by.kind != "" && (named && h.Unaccounted == 0 || !named && len(h.Unread) > 0):
		return ""
	}
	return fmt.Sprintf("has %d references, %d unaccounted for, and the holders %v", h.References, h.Unaccounted, h.Holders)
}

func holdingText(by *way, h workloads.Holding) string {
	switch {
	case !h.There:
		return "nobody held the map"
	case len(h.Holders) == 0 && len(h.Unread) > 0:
		return fmt.Sprintf("%d reference, no holder seen (not looked for: %s)", h.References, strings.Join(h.Unread, "; "))
	case len(h.Holders) == 0:
		return fmt.Sprintf("%d reference unaccounted for", h.Unaccounted)
	}
	var names []string
	for _, o := range h.Holders {
		text := o.Text
		if by.name == "pin" {
			text = o.Kind + " in " + bpffs // each has a name of its own
		}
		names = append(names, text)
	}
	return "held by " + strings.Join(names, ", ")
}

// lastPut is who did a last put, and where: the functions that called it.
func lastPut(d workloads.Death) string {
	var in []string
	for _, f := range d.Stack {
		if !strings.HasPrefix(f, "bpf_map_put") && !strings.HasPrefix(f, "bpf_trampoline") && len(in) < 3 {
			in = append(in, f)
		}
	}
	if len(in) == 0 {
		return comm(d)
	}
	return comm(d) + ", in " + strings.Join(in, " < ")
}

// comm is who did a last put; one kworker is as good as another. Whom a softirq has
// interrupted has nothing to do with it.
func comm(d workloads.Death) string {
	softirq := func(f string) bool { return strings.HasPrefix(f, "rcu_core") || strings.Contains(f, "softirq") }
	switch {
	case strings.HasPrefix(d.Comm, "kworker/"):
		return "a kworker"
	case slices.ContainsFunc(d.Stack, softirq):
		return "a softirq"
	}
	return d.Comm
}

// tally counts texts.
type tally map[string]int

func (t tally) add(text string) { t[text]++ }

// String lists the texts, those that came most often first.
func (t tally) String() string {
	var texts []string
	for text := range t {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		if t[a] != t[b] {
			return t[b] - t[a]
		}
		return strings.Compare(a, b)
	})
	if len(texts) > 1 {
		for n, text := range texts {
			texts[n] = fmt.Sprintf("%s (%d)", text, t[text])
		}
	}
	return strings.Join(texts, "; ")
}

// traced runs f, with the frees of programs where something can time them.
func (i *instance) traced(f func() error) error {
	programs := slices.ContainsFunc(ways, func(w way) bool { return w.program && slices.Contains(i.cfg.By, w.name) })
	if i.tracer == nil || !programs {
		return f()
	}
	calls, err := i.tracer.Calls(map[string][]string{"free": {"bpf_prog_free_deferred"}}, f)
	i.freed = calls["free"]
	return err
}

// WatchPrefix begins the names of the maps that die, and of no others.
func (i *instance) WatchPrefix() string { return i.prefix }

// Note is empty: nothing is arranged.
func (i *instance) Note() string { return "" }

// SetTracer gives it what times calls in the kernel.
func (i *instance) SetTracer(t workloads.Tracer) { i.tracer = t }

// SetHolders implements workloads.Inquiring.
func (i *instance) SetHolders(ask func(mapID uint32) (workloads.Holding, error), why error) {
	i.ask, i.why = ask, why
}

// SetRecorder implements workloads.Recorded.
func (i *instance) SetRecorder(record func(ns int64)) { i.record = record }

// Close does nothing: what was made is gone.
func (i *instance) Close() error { return nil }
