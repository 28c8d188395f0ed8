// SPDX-License-Identifier: Apache-2.0

//go:build linux

package structops

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"github.com/cilium/ebpf"

	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// span is one call of bpf(2) or close(2).
type span struct{ begin, end int64 }

// life is what was done to one map.
type life struct{ register, unregister, close span }

// Run registers, unregisters and closes one map after the other.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	var lives []life
	tid := mapops.ProbesTID()
	calls, err := i.traced(func() error {
		for i.result.Ops < uint64(i.cfg.Count) {
			if ctx.Err() != nil {
				i.result.Interrupted = true
				return nil
			}
			l, err := i.one(i.result.Ops)
			if err != nil {
				return err
			}
			lives = append(lives, l)
			i.record(l.unregister.end - l.unregister.begin)
			i.result.LastPuts++
			i.result.Ops++
			progress(i.result.Ops, uint64(i.cfg.Count))
		}
		return nil
	})
	if err != nil {
		return i.result, err
	}
	i.keep(lives, calls, tid)
	return i.result, nil
}

// key is the only one that such a map has.
const key = uint32(0)

// one takes a map through its states, each of which is checked.
func (i *instance) one(n uint64) (l life, err error) {
	name := fmt.Sprintf("%s%d", i.prefix, n%100)
	m, err := i.newMap(name)
	if err != nil {
		return l, err
	}
	defer func() {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if err := i.expect(m, stateInit); err != nil {
		return l, err
	}
	value := i.layout.value(name, i.coll.Programs)
	if l.register, err = timed(func() error { return m.Update(key, value, ebpf.UpdateAny) }); err != nil {
		return l, fmt.Errorf("register %s: %w", name, err)
	}
	if err := i.expect(m, stateInUse); err != nil {
		return l, err
	}
	if l.unregister, err = timed(func() error { return m.Delete(key) }); err != nil {
		return l, fmt.Errorf("unregister %s: %w", name, err)
	}
	if err := i.expect(m, stateToBeFree); err != nil {
		return l, err
	}
	l.close, err = timed(m.Close)
	m = nil
	return l, err
}

func timed(f func() error) (span, error) {
	begin := ktime.Now()
	err := f()
	return span{begin, ktime.Now()}, err
}

// expect looks the state up that the map is in.
func (i *instance) expect(m *ebpf.Map, want state) error {
	value := make([]byte, i.layout.bytes)
	if err := m.Lookup(key, &value); err != nil {
		return fmt.Errorf("look the state up: %w", err)
	}
	if got := state(binary.NativeEndian.Uint32(value[stateAt:])); got != want {
		return fmt.Errorf("the map is in state %v, not %v", got, want)
	}
	return nil
}

// waits is the metric of what unregistering waits.
const waits = "structops.unregister.wait"

// keep sums up how long the calls took, and what unregistering waited.
func (i *instance) keep(lives []life, calls map[string]workloads.Calls, tid int) {
	var register, unregister, closing, within []float64
	waited := 0
	for _, l := range lives {
		register = append(register, l.register.ns())
		unregister = append(unregister, l.unregister.ns())
		closing = append(closing, l.close.ns())
		sum := 0.0
		for _, c := range calls[waits].List {
			if c.BeginNS >= l.unregister.begin && c.EndNS <= l.unregister.end && (tid == 0 || c.TID == tid) {
				sum += float64(c.EndNS - c.BeginNS)
			}
		}
		if sum > 0 {
			within = append(within, sum)
			waited++
		}
	}
	i.metric("structops.register", "bpf(2), BPF_MAP_UPDATE_ELEM: the map goes from INIT to INUSE", register)
	i.metric("structops.unregister", "bpf(2), BPF_MAP_DELETE_ELEM: the map goes from INUSE to TOBEFREE", unregister)
	i.metric("structops.close", "close(2) of the map's only descriptor", closing)
	i.result.Findings = append(i.result.Findings, fmt.Sprintf("%d maps went from INIT to INUSE to TOBEFREE", len(lives)))
	if w, ok := calls[waits]; ok {
		i.metric(waits, w.Function+" within it, fentry to fexit", within)
		i.result.Findings = append(i.result.Findings, fmt.Sprintf("of %d maps, %d waited in %s while they were unregistered", len(lives), waited, w.Function))
	}
}

func (s span) ns() float64 { return float64(s.end - s.begin) }

func (i *instance) metric(name, how string, values []float64) {
	if len(values) > 0 {
		i.result.Metrics[name] = workloads.Metric{Values: values, Unit: "ns", How: how}
	}
}

// traced runs f, with the waits for grace periods where something can time them.
func (i *instance) traced(f func() error) (map[string]workloads.Calls, error) {
	if i.tracer == nil {
		return nil, f()
	}
	return i.tracer.Calls(map[string][]string{waits: {"synchronize_rcu"}}, f)
}
