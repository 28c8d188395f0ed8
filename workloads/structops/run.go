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

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// life is what was done to one map.
type life struct{ register, unregister, close mapops.Span }

// Run registers, unregisters and closes one map after the other.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	i.result = workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	var lives []life
	tid := mapops.ProbesTID()
	calls, err := i.traced(func() error {
		return mapops.InTurn(ctx, i.cfg.Count, &i.result, progress, i.record, func(n uint64) (mapops.Span, error) {
			l, err := i.one(n)
			lives = append(lives, l)
			return l.unregister, err
		})
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
	if l.register, err = mapops.Timed(func() error { return m.Update(key, value, ebpf.UpdateAny) }); err != nil {
		return l, fmt.Errorf("register %s: %w", name, err)
	}
	if err := i.expect(m, stateInUse); err != nil {
		return l, err
	}
	if l.unregister, err = mapops.Timed(func() error { return m.Delete(key) }); err != nil {
		return l, fmt.Errorf("unregister %s: %w", name, err)
	}
	if err := i.expect(m, stateToBeFree); err != nil {
		return l, err
	}
	l.close, err = mapops.Timed(m.Close)
	m = nil
	return l, err
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
		register = append(register, l.register.NS())
		unregister = append(unregister, l.unregister.NS())
		closing = append(closing, l.close.NS())
		sum := 0.0
		for _, c := range calls[waits].List {
			if l.unregister.Has(c, tid) {
				sum += float64(c.EndNS - c.BeginNS)
			}
		}
		if sum > 0 {
			within = append(within, sum)
			waited++
		}
	}
	i.result.Add("structops.register", "ns", "bpf(2), BPF_MAP_UPDATE_ELEM: the map goes from INIT to INUSE", register)
	i.result.Add("structops.unregister", "ns", "bpf(2), BPF_MAP_DELETE_ELEM: the map goes from INUSE to TOBEFREE", unregister)
	i.result.Add("structops.close", "ns", "close(2) of the map's only descriptor", closing)
	i.result.Findings = append(i.result.Findings, fmt.Sprintf("%d maps went from INIT to INUSE to TOBEFREE", len(lives)))
	if w, ok := calls[waits]; ok {
		i.result.Add(waits, "ns", w.Function+" within it, fentry to fexit", within)
		i.result.Findings = append(i.result.Findings, fmt.Sprintf("of %d maps, %d waited in %s while they were unregistered", len(lives), waited, w.Function))
	}
}

// traced runs f, with the waits for grace periods where something can time them.
func (i *instance) traced(f func() error) (map[string]workloads.Calls, error) {
	if i.tracer == nil {
		return nil, f()
	}
	return i.tracer.Calls(map[string][]string{waits: {"synchronize_rcu"}}, f)
}
