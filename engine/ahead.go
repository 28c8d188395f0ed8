// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

// ran is a trial that was done, with what it left.
type ran struct {
	u       *underway
	scratch *target.Scratch
	began   atomic.Pointer[time.Time] // the measured part, as far as it was told
	ended   time.Time
	done    target.Done
	failure error
}

// ahead does trials before their turn, as many at once as the plan says, and hands
// them out in the plan's order.
type ahead struct {
	r      *runner
	plan   []planned
	jobs   int
	given  atomic.Int64 // how many were asked for
	begun  int
	queue  chan int    // of trials to begin
	ran    []chan *ran // by trial
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// ahead is ready to begin with a plan. Who calls it calls end.
func (r *runner) ahead(ctx context.Context, plan []planned) *ahead {
	a := &ahead{r: r, plan: plan, jobs: max(r.Jobs, 1), queue: make(chan int, len(plan)), ran: make([]chan *ran, len(plan))}
	for i := range a.ran {
		a.ran[i] = make(chan *ran, 1)
	}
	ctx, a.cancel = context.WithCancel(ctx)
	a.wg.Go(func() {
		slots := make(chan struct{}, a.jobs)
		for i := range a.queue {
			slots <- struct{}{}
			a.wg.Go(func() {
				a.ran[i] <- a.do(ctx, i)
				<-slots
			})
		}
	})
	return a
}

// do does a trial. Of its stages is told when it is its turn.
func (a *ahead) do(ctx context.Context, i int) *ran {
	return a.r.do(ctx, &a.plan[i], func(p task.Progress) {
		if a.given.Load() == int64(i)+1 {
			a.r.Progress.Stage(p)
		}
	})
}

// next waits for the next trial of the plan. Others run meanwhile; what has
// ended and waits for its turn is bounded.
func (a *ahead) next() *ran {
	i := int(a.given.Add(1)) - 1
	for until := min(i+2*a.jobs-1, len(a.plan)); a.begun < until; a.begun++ {
		a.queue <- a.begun
	}
	return <-a.ran[i]
}

// end ends the trials whose turn does not come.
func (a *ahead) end() error {
	close(a.queue)
	a.cancel()
	a.wg.Wait()
	var errs []error
	for i := int(a.given.Load()); i < a.begun; i++ {
		if o := <-a.ran[i]; o.scratch != nil {
			errs = append(errs, o.scratch.Close())
		}
	}
	return errors.Join(errs...)
}

// do does a trial on the target.
func (r *runner) do(ctx context.Context, p *planned, tell func(task.Progress)) *ran {
	o := &ran{}
	if o.scratch, o.failure = target.NewScratch(); o.failure != nil {
		return o
	}
	o.u = newUnderway(p, o.scratch.Dir)
	work := target.Work{
		Task: trial.TaskRun, Request: p.job, Dir: o.u.dir, Stop: r.Stop, OnProgress: func(p task.Progress) {
			if p.Stage == trial.StageMeasure && p.Done == 0 {
				now := time.Now()
				o.began.Store(&now)
			}
			tell(p)
		},
		Files: r.Files, Output: r.Output,
	}
	if r.Output != nil && r.Jobs > 1 {
		work.Output = &r.output
	}
	if r.Options.Interval > 0 && !results.Deterministic(r.Target.Clock()) {
		work.OnCommit = func(done *target.Done) error { return r.commit(o.u, done, o.began.Load()) }
	}
	o.done, o.failure = r.Target.Do(ctx, p.kernel, work)
	o.ended = time.Now()
	return o
}

// sharedOutput is what programs print that run at once.
type sharedOutput struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sharedOutput) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// checkJobs says what keeps trials from running at once.
func (r *runner) checkJobs() error {
	vm, booted := r.Target.(*target.VM)
	if r.Jobs <= 1 || !booted {
		return nil
	}
	err := target.CheckHostMemory(uint64(r.Jobs) * vm.Machine.WithDefaults().MemoryBytes)
	if host, ok := errors.AsType[*target.MemoryError](err); ok {
		host.Hint = "try fewer --jobs"
		return fmt.Errorf("%d VMs at once: %w", r.Jobs, err)
	}
	return err
}
