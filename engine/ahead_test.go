// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// atOnce is a target on the deterministic clock whose trials end in an order of their
// own, and of which one may fail.
type atOnce struct {
	twoKernels
	mu            sync.Mutex
	running, most int
	fails         int // the trial; -1: none
}

func (*atOnce) Clock() string { return results.ClockICount }

func (a *atOnce) Do(ctx context.Context, kernel int, w target.Work) (target.Done, error) {
	job := w.Request.(trial.Job)
	a.mu.Lock()
	a.running++
	a.most = max(a.most, a.running)
	a.mu.Unlock()
	defer func() { a.mu.Lock(); a.running--; a.mu.Unlock() }()
	select { // the earlier a trial is in the plan, the later it ends
	case <-time.After(time.Duration(20-4*job.Trial-2*kernel) * time.Millisecond):
	case <-ctx.Done():
		return target.Done{}, ctx.Err()
	}
	if job.Trial == a.fails {
		return target.Done{}, errors.New("it broke")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.r = rand.New(rand.NewPCG(uint64(kernel), uint64(job.Trial)))
	return a.twoKernels.Do(ctx, kernel, w)
}

// TestJobs: trials that run at once give the run that they give one after the other,
// and where one fails, what was done before it. Nothing of the others is left.
func TestJobs(t *testing.T) {
	scratch := t.TempDir()
	t.Setenv("MAPPROF_CACHE", scratch)
	for _, fails := range []int{-1, 2} {
		var outcomes []string
		for _, jobs := range []int{1, 3} {
			out, err := results.Create(filepath.Join(t.TempDir(), "run"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Abort()
			where := &atOnce{twoKernels: twoKernels{factor: 2}, fails: fails}
			run, err := Run(t.Context(), Plan{Target: where, Workload: "w", Strategies: []string{results.StrategyNone}, Trials: 4,
				Jobs: jobs, Options: trial.Options{NoDeaths: true}, Out: out, Progress: NoProgress{}})
			if run == nil || (err != nil) != (fails >= 0) {
				t.Fatalf("%d at once: %v", jobs, err)
			}
			for i := range run.Scenarios {
				for j := range run.Scenarios[i].Trials {
					run.Scenarios[i].Trials[j].Started = time.Time{}
				}
			}
			data, merr := json.Marshal(run.Scenarios)
			outcomes = append(outcomes, fmt.Sprintf("%v, %s: %s %v", err, run.PartialReason, data, merr))
			where.mu.Lock()
			if where.most != jobs || where.running != 0 {
				t.Errorf("%d at once: there were %d, and %d are left", jobs, where.most, where.running)
			}
			where.mu.Unlock()
			err = filepath.WalkDir(scratch, func(name string, d os.DirEntry, err error) error {
				if err == nil && d.Name() == results.RunFile {
					t.Errorf("left: %s", name)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		if outcomes[0] != outcomes[1] || fails >= 0 && !strings.Contains(outcomes[0], "4 of 8 trials: before none, trial 2: it broke") {
			t.Errorf("one after the other:\n%s\nat once:\n%s", outcomes[0], outcomes[1])
		}
	}
}

// TestJobsFit: what no host has the memory for is told before anything boots.
func TestJobsFit(t *testing.T) {
	vm := &target.VM{Machine: target.Machine{MemoryBytes: 1 << 48, Clock: target.ClockICount}}
	_, err := Run(t.Context(), Plan{Target: vm, Trials: 1, Jobs: 4, Progress: NoProgress{}})
	if host, ok := errors.AsType[*target.MemoryError](err); !ok || !strings.HasSuffix(host.Error(), "(try fewer --jobs)") {
		t.Error(err)
	}
}
