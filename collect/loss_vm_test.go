// SPDX-License-Identifier: Apache-2.0

//go:build vm

package collect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mapprof/mapprof/collect"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

// Every way to lose a death, provoked: each must be counted, and the balance
// must hold with it.

const lossTask = "losses"

// lossCase is one provocation.
type lossCase struct {
	Name     string
	Strategy string
	Params   map[string]string
	Config   probes.Config
	// Stalled: nobody reads the ring buffer before the workload has ended.
	Stalled bool
	// Detach: this function is no longer watched from the middle on.
	Detach string
	Drain  time.Duration
	// Repeat until one of Counters has counted, or without any until some
	// deaths are Pending, at most so often; 0: once. The attempts before the last
	// may lack that, and nothing else.
	Repeat int
	// Counters of which one must count; none: nothing may be lost.
	Counters []string
	// Settle: wait a moment before the end, since a death whose put was not
	// recorded is known by its free only.
	Settle bool
	// Ask for a sweep after each operation: what they tell must fit the whole.
	Ask bool
	// Busy tasks make the kernel call call_rcu() meanwhile.
	Busy int
	// Pending: some deaths must not have ended; MayPend: some need not.
	Pending, MayPend bool
}

// lossResult is what came of it.
type lossResult struct {
	Expected, Puts, Freed, InFlight, Lost uint64
	Loss                                  map[string]uint64
	PendingMinNS                          int64
}

func lossCases() []lossCase {
	batches := map[string]string{"outer": "hash-of-maps-noprealloc", "slots": "64", "batch": "64", "count": "4"}
	return []lossCase{
		{Name: "ring buffer too small, reader stalled", Strategy: "immediate", Params: map[string]string{"count": "300"},
			Config: probes.Config{RingBytes: 4096}, Stalled: true, Drain: 10 * time.Second, Counters: []string{"ringbuf_full"}},
		{Name: "the same, update waits", Strategy: "rcu", Params: map[string]string{"count": "150"},
			Config: probes.Config{RingBytes: 4096}, Stalled: true, Drain: 10 * time.Second, Counters: []string{"wait_ringbuf_full"}},
		{Name: "in-flight table full", Strategy: "tasks-trace", Params: batches,
			Config: probes.Config{InFlight: 16}, Drain: 10 * time.Second, Settle: true, Counters: []string{"inflight_full"}},
		{Name: "more deaths than can be drained", Strategy: "tasks-trace", Params: batches, Pending: true, Repeat: 20},
		{Name: "ended with deaths pending", Strategy: "tasks-trace", Params: map[string]string{"count": "10"}, Pending: true, Repeat: 20},
		{Name: "free's entry detached midway", Strategy: "immediate", Params: map[string]string{"count": "300"},
			Detach: "bpf_map_free_deferred", Drain: time.Second, Pending: true, Counters: []string{"stale"}},
		{Name: "last put detached midway", Strategy: "rcu", Params: map[string]string{"count": "60"},
			Detach: "bpf_map_put", Drain: time.Second, Settle: true, Counters: []string{"unmatched_free"}},
		{Name: "call_rcu detached midway", Strategy: "rcu", Params: map[string]string{"count": "60"},
			Detach: "call_rcu", Drain: 10 * time.Second, Counters: []string{"unmatched_callback"}},
		{Name: "full rate, default sizes", Strategy: "immediate", Params: map[string]string{"count": "20000"}, Drain: 30 * time.Second},
		{Name: "swept all the time", Strategy: "tasks-trace", Params: map[string]string{"count": "60", "outer": "hash-of-maps-noprealloc", "slots": "64", "batch": "64"}, Ask: true, Drain: 30 * time.Second},
		{Name: "full rate in batches, default sizes", Strategy: "rcu", Drain: 30 * time.Second,
			Params: map[string]string{"outer": "hash-of-maps-noprealloc", "slots": "256", "batch": "256", "count": "40"}},
	}
}

// recursionCases need a kernel that preempts tasks inside a program.
func recursionCases() []lossCase {
	return []lossCase{
		{Name: "programs attached once, preempt=full", Strategy: "immediate", Params: map[string]string{"count": "3000"},
			Config: probes.Config{Once: true}, Busy: 6, Drain: time.Second, Settle: true, Repeat: 20, MayPend: true, Counters: []string{"recursion_misses"}},
		{Name: "as by default, preempt=full", Strategy: "immediate", Params: map[string]string{"count": "10000"},
			Busy: 6, Drain: 10 * time.Second, Settle: true},
	}
}

// provokeLosses returns every attempt of each case.
func provokeLosses(_ context.Context, _ *task.Env, cases []lossCase) ([][]lossResult, error) {
	out := make([][]lossResult, len(cases))
	for i := range cases {
		for range max(cases[i].Repeat, 1) {
			r, err := provoke(&cases[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", cases[i].Name, err)
			}
			out[i] = append(out[i], r)
			if r.Puts != r.Freed+r.InFlight+r.Lost {
				break // which must never be
			}
			if cases[i].counted(r) > 0 || len(cases[i].Counters) == 0 && cases[i].Pending && r.InFlight > 0 {
				break
			}
		}
	}
	return out, nil
}

func (c *lossCase) counted(r lossResult) (n uint64) {
	for _, name := range c.Counters {
		n += r.Loss[name]
	}
	return n
}

func provoke(c *lossCase) (_ lossResult, err error) {
	w, _, err := workloads.New("churn", c.Params)
	if err != nil {
		return lossResult{}, err
	}
	ctx := context.Background()
	instance, err := w.Setup(ctx, c.Strategy)
	if err != nil {
		return lossResult{}, err
	}
	defer func() { err = errors.Join(err, instance.Close()) }()
	cfg := c.Config
	cfg.WatchPrefix, cfg.WaitTGID = instance.WatchPrefix(), uint32(os.Getpid())
	p, _, err := probes.Attach(cfg)
	if err != nil {
		return lossResult{}, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var reader *collect.Collector
	var k collect.Kept
	read := func() { reader, err = collect.Start(p, &k, nil) }
	if !c.Stalled {
		if read(); err != nil {
			return lossResult{}, err
		}
	}
	if err := p.Start(); err != nil {
		return lossResult{}, err
	}
	var detachErr error
	stop := keepBusy(c.Busy)
	res, err := instance.Run(ctx, func(done, total uint64) {
		if c.Detach != "" && done == total/2 {
			detachErr = p.Detach(c.Detach)
		}
		if c.Ask {
			reader.Ask()
		}
	})
	if err := errors.Join(err, stop(), detachErr, p.Stop()); err != nil {
		return lossResult{}, err
	}
	if c.Settle {
		if err := quiet(p, 2*time.Second); err != nil {
			return lossResult{}, err
		}
	}
	if c.Stalled {
		// The frees come after the puts; nobody reads before all are over.
		if err := quiet(p, 0); err != nil {
			return lossResult{}, err
		}
		if read(); err != nil {
			return lossResult{}, err
		}
	}
	if err := reader.Drain(ctx, c.Drain); err != nil {
		return lossResult{}, err
	}
	o, err := reader.Finish()
	if err != nil {
		return lossResult{}, err
	}
	if err := k.Check(c.Ask, 100*time.Millisecond); err != nil {
		return lossResult{}, err
	}
	r := lossResult{Expected: res.LastPuts, Puts: o.Puts, Freed: o.Freed, InFlight: o.InFlight, Lost: o.Lost, Loss: o.Loss}
	for _, d := range o.Pending {
		if age := o.AtNS - d.PutNS; r.PendingMinNS == 0 || age < r.PendingMinNS {
			r.PendingMinNS = age
		}
	}
	return r, nil
}

// quiet waits until no death has been under way for that long, or 10 s.
func quiet(p *probes.Probes, still time.Duration) error {
	since := time.Now()
	for deadline := since.Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		inflight, err := p.InFlight()
		if err != nil {
			return err
		}
		if len(inflight) > 0 {
			since = time.Now()
		} else if time.Since(since) >= still {
			return nil
		}
	}
	return nil
}

// keepBusy makes and removes files, each of which is freed by call_rcu().
func keepBusy(tasks int) (stop func() error) {
	done, errs := make(chan struct{}), make([]error, tasks)
	var wg sync.WaitGroup
	for i := range tasks {
		wg.Go(func() {
			name := fmt.Sprintf("%s/busy%d", os.TempDir(), i)
			for {
				select {
				case <-done:
					return
				default:
				}
				f, err := os.Create(name)
				if err != nil {
					errs[i] = err
					return
				}
				if errs[i] = errors.Join(f.Close(), os.Remove(name)); errs[i] != nil {
					return
				}
			}
		})
	}
	return func() error { close(done); wg.Wait(); return errors.Join(errs...) }
}

// TestVMLosses provokes every kind and holds the balance against it.
func TestVMLosses(t *testing.T) { testLosses(t, lossCases()) }

// TestVMRecursion is the kind that needs another kernel command line.
func TestVMRecursion(t *testing.T) { testLosses(t, recursionCases(), "preempt=full") }

func testLosses(t *testing.T, cases []lossCase, parameters ...string) {
	t.Helper()
	vm := vmtest.VM(t, "6.12", func(m *target.Machine) {
		// A map where another has just been, which a restored machine gives less often.
		m.Append, m.Timeout, m.Boot = parameters, 10*time.Minute, target.BootFresh
	})
	got := vmtest.Call[[][]lossResult](t, vm, lossTask, cases)
	if len(got) != len(cases) {
		t.Fatalf("%d of %d cases", len(got), len(cases))
	}
	var table strings.Builder
	table.WriteString("\n| provoked | last references | puts | = freed | + in flight | + lost | counters |\n|---|---:|---:|---:|---:|---:|---|\n")
	for i, attempts := range got {
		c := cases[i]
		for n, r := range attempts {
			name := c.Name
			if len(attempts) > 1 {
				name += fmt.Sprintf(", attempt %d of %d", n+1, len(attempts))
			}
			fmt.Fprintf(&table, "| %s | %d | %d | %d | %d | %d | %s |\n", name, r.Expected, r.Puts, r.Freed, r.InFlight, r.Lost, results.LossText(r.Loss))
			for _, fault := range c.faults(r, n == len(attempts)-1) {
				t.Errorf("%s: %s: %+v", name, fault, r)
			}
		}
	}
	t.Log(table.String())
}

// faults lists what is wrong with an attempt. One before the last did not show
// what the case provokes, and must have lost nothing else.
func (c *lossCase) faults(r lossResult, last bool) []string {
	var out []string
	fault := func(wrong bool, text string) {
		if wrong {
			out = append(out, text)
		}
	}
	fault(r.Puts != r.Freed+r.InFlight+r.Lost, "does not balance")
	fault(r.Puts != r.Expected, "the puts aren't the last references that the workload dropped")
	fault(last && len(c.Counters) > 0 && c.counted(r) == 0, fmt.Sprintf("none of %q counted", c.Counters))
	fault(c.counted(r) == 0 && r.Lost > 0, "lost deaths that nothing provoked")
	fault(c.counted(r) == 0 && c.Busy == 0 && results.LossText(r.Loss) != "none", "lost what nothing provoked")
	fault(!c.Pending && !c.MayPend && r.InFlight > 0, "deaths are pending")
	fault(last && c.Pending && r.InFlight == 0, "no death is pending")
	fault(r.InFlight > 0 && r.PendingMinNS <= 0, "deaths are pending for no time")
	return out
}

// TestVMLossFaults: what an earlier attempt lost counts, though the last one is as
// it should be.
func TestVMLossFaults(t *testing.T) {
	fine := lossResult{Expected: 10, Puts: 10, Freed: 7, InFlight: 3, PendingMinNS: 1, Loss: map[string]uint64{}}
	lost := lossResult{Expected: 10, Puts: 10, Freed: 9, Lost: 1, Loss: map[string]uint64{"ringbuf_full": 1}}
	none := lossResult{Expected: 10, Puts: 10, Freed: 10, Loss: map[string]uint64{}}
	pending, recursion := lossCase{Pending: true, Repeat: 20}, lossCase{Counters: []string{"recursion_misses"}, Busy: 6, Repeat: 20}
	for _, tt := range []struct {
		name   string
		c      lossCase
		r      lossResult
		last   bool
		faults int
	}{
		{"as it should be", pending, fine, true, 0},
		{"not yet", pending, none, false, 0},
		{"never", pending, none, true, 1},
		{"lost on the way", pending, lost, false, 2},
		{"lost by another counter", recursion, lost, false, 1},
		{"unbalanced on the way", pending, lossResult{Expected: 10, Puts: 10, Freed: 9}, false, 1},
	} {
		if got := tt.c.faults(tt.r, tt.last); len(got) != tt.faults {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}
