// SPDX-License-Identifier: Apache-2.0

//go:build linux

package clocks

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/mapprof/mapprof/workloads"
	"github.com/mapprof/mapprof/workloads/mapops"
)

// instance holds the programs of one trial.
type instance struct {
	cfg   *Workload
	loops []*mapops.LoopTurns // a clock each
	both  *ebpf.Program       // reads ktime and jiffies64
	state *ebpf.Map           // what it read
}

// turns are those of a loop. Its reads are so many that to time them is little beside.
const turns = batch / mapops.CallsInTurn

func newInstance(w *Workload) (_ *instance, err error) {
	i := &instance{cfg: w}
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	for _, c := range clocks {
		keys := mapops.NewKeySequence(mapops.PatternSequential, 1, 8)
		l, err := mapops.NewLoopTurns(mapops.LoopSpec{Path: mapops.PathCall, Call: c.helper, Elements: turns, Keys: keys}, true)
		if err != nil {
			return nil, fmt.Errorf("clock %s: %w", c.name, err)
		}
		i.loops = append(i.loops, l)
	}
	if i.state, err = mapops.NewMap(&ebpf.MapSpec{Name: "mp_clocks", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1}); err != nil {
		return nil, err
	}
	i.both, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: "mp_clocks", Type: ebpf.SocketFilter, License: "Dual BSD/GPL", Instructions: asm.Instructions{
		asm.LoadMapValue(asm.R6, i.state.FD(), 0),
		asm.FnKtimeGetNs.Call(), asm.StoreMem(asm.R6, 0, asm.R0, asm.DWord),
		asm.FnJiffies64.Call(), asm.StoreMem(asm.R6, 8, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if err != nil {
		return nil, fmt.Errorf("load program that reads clocks: %w", err)
	}
	return i, nil
}

// Run measures one clock after the other, then how far apart jiffies are.
func (i *instance) Run(ctx context.Context, progress func(done, total uint64)) (workloads.Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := workloads.Result{Loop: "closed", Metrics: map[string]workloads.Metric{}}
	total := uint64(len(clocks)) * i.cfg.Count
	err := mapops.WhileQuiet(&r, func() error {
		for n, c := range clocks {
			p := &mapops.ProbedPath{Name: "clock." + c.name, Loops: i.loops[n], Count: i.cfg.Count,
				OnBatch: func(n int) { r.Ops += uint64(n); progress(min(r.Ops, total), total) }}
			without, _, err := p.Measure(ctx, nil, &r)
			if err != nil {
				return err
			}
			if without.Ops < i.cfg.Count {
				r.Interrupted = true
				return nil
			}
		}
		return nil
	})
	if err != nil || r.Interrupted {
		return r, err
	}
	return r, i.step(&r)
}

// watched is how many jiffies are watched for their length, 100 HZ or more.
const watched = 25

// step measures how long a jiffy is: what bpf_jiffies64 can't tell apart.
func (i *instance) step(r *workloads.Result) error {
	begin, err := i.atTick()
	if err != nil {
		return err
	}
	end := begin
	for end.jiffies < begin.jiffies+watched {
		time.Sleep(time.Millisecond)
		if end, err = i.atTick(); err != nil {
			return err
		}
	}
	ns := float64(end.ktime-begin.ktime) / float64(end.jiffies-begin.jiffies)
	r.Metrics["clock.jiffies64.step"] = workloads.Metric{Values: []float64{ns}, Unit: "ns",
		How: fmt.Sprintf("by bpf_ktime_get_ns, from one tick to another %d jiffies later", end.jiffies-begin.jiffies)}
	return nil
}

// reading is of both clocks at once.
type reading struct{ ktime, jiffies uint64 }

// atTick reads the clocks until jiffies have changed.
func (i *instance) atTick() (reading, error) {
	first, err := i.read()
	for now := first; err == nil; now, err = i.read() {
		if now.jiffies != first.jiffies {
			return now, nil
		}
	}
	return first, err
}

func (i *instance) read() (r reading, err error) {
	if _, err := i.both.Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
		return r, fmt.Errorf("read clocks: %w", err)
	}
	var both [2]uint64
	err = i.state.Lookup(uint32(0), &both)
	return reading{both[0], both[1]}, err
}

// WatchPrefix is empty: nothing is freed while it is watched.
func (i *instance) WatchPrefix() string { return "" }

// Note is empty: there is no strategy.
func (i *instance) Note() string { return "" }

// Close unloads the programs.
func (i *instance) Close() error {
	var errs []error
	for _, l := range i.loops {
		errs = append(errs, l.Close())
	}
	if i.both != nil {
		errs = append(errs, i.both.Close())
	}
	if i.state != nil {
		errs = append(errs, i.state.Close())
	}
	return errors.Join(errs...)
}
