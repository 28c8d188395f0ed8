// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/kernels"
	"github.com/mapprof/mapprof/target/task"
	"github.com/mapprof/mapprof/workloads"
)

// Trials of a workload by any strategy, in one boot: for tests of what the workload
// finds, which a boot of its own for each would take longer.

const trialsGuest = "guest-trials"

// trialsJob is trials one after the other, by the workload's flags, and --strategy.
type trialsJob struct {
	Workload string
	Flags    []string
}

// trialDone is what came of one.
type trialDone struct {
	Refused  string // the error that it ended with
	Scenario *results.Scenario
}

func init() {
	guestTasks[trialsGuest] = task.Handle(func(ctx context.Context, env *task.Env, j trialsJob) (all []trialDone, err error) {
		for _, flags := range j.Flags {
			d, err := inThisBoot(ctx, env, j.Workload, flags)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", j.Workload, flags, err)
			}
			all = append(all, d)
		}
		return all, nil
	})
}

func inThisBoot(ctx context.Context, env *task.Env, workload, flags string) (d trialDone, err error) {
	params := map[string]string{}
	for _, f := range strings.Fields(flags) {
		name, value, given := strings.Cut(strings.TrimPrefix(f, "--"), "=")
		if !given {
			value = "true"
		}
		params[name] = value
	}
	strategy := cmp.Or(params["strategy"], results.StrategyAny)
	delete(params, "strategy")
	dir, err := os.MkdirTemp("", "trial-")
	if err != nil {
		return d, err
	}
	defer os.RemoveAll(dir)
	// The probes stay until the end of the boot: to detach them takes longer than all else.
	its := &task.Env{Dir: filepath.Join(dir, "run"), OnProgress: env.OnProgress, PowersOffAfter: true}
	env.KeepAlive(its)
	job := trial.Job{Scenario: "s", Workload: workload, Params: params, Strategy: strategy, Options: trial.DefaultOptions()}
	if err := trial.Run(ctx, its, &job); err != nil {
		return trialDone{Refused: err.Error()}, nil
	}
	run, err := results.Open(its.Dir)
	if err != nil {
		return d, err
	}
	d.Scenario = &run.Run.Scenarios[0]
	return d, engine.Verify(run.Run)
}

// trialsIn does trials of a workload in one boot of a kernel.
func trialsIn(t *testing.T, kernel, clock, workload string, flags ...string) []trialDone {
	t.Helper()
	vm := vmtest.VM(t, kernel, func(m *target.Machine) { m.Clock, m.MemoryBytes = clock, 2<<30 })
	w, _, err := workloads.New(workload, nil)
	if err != nil {
		t.Fatal(err)
	}
	if modular, ok := w.(workloads.Modular); ok {
		modules, err := kernels.Modules(t.Context(), vm.Images[0], modular.Modules(), kernels.Options{})
		if err != nil {
			t.Fatal(err)
		}
		vm.Modules = [][]kernels.Module{modules}
		vm.Machine.Boot = target.BootFresh // XDP programs patch the kernel's text, see target/stalepatch.go
	}
	all := vmtest.Call[[]trialDone](t, vm, trialsGuest, trialsJob{workload, flags})
	if len(all) != len(flags) {
		t.Fatalf("%s: %d of %d trials", kernel, len(all), len(flags))
	}
	return all
}
