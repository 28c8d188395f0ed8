// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mapprof/mapprof/collect/kallsyms"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/ktime"
	"github.com/mapprof/mapprof/probes"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

// step is a part of a trial in a guest, by the guest's clock.
type step struct {
	Name string
	NS   int64
}

// measureSteps does a trial of a few deaths as a guest of mapprof run does, and times its
// steps; before that, alone, what a trial reads in the background.
func measureSteps(ctx context.Context, env *task.Env, _ task.None) ([]step, error) {
	last := ktime.Now()
	steps := []step{{"boot, to the task", last}}
	lap := func(name string) {
		now := ktime.Now()
		steps = append(steps, step{name, now - last})
		last = now
	}
	if err := probes.ReadTypes(); err != nil {
		return nil, err
	}
	lap("the kernel's BTF, alone")
	if _, err := kallsyms.Load(); err != nil {
		return nil, err
	}
	lap("the kernel's symbols, alone")
	dir, err := os.MkdirTemp("", "steps-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	at := ""
	inner := &task.Env{Dir: filepath.Join(dir, "run"), PowersOffAfter: true, OnProgress: func(p task.Progress) {
		if p.Stage == at {
			return
		}
		if at != "" {
			lap(at)
		}
		at, last = p.Stage, ktime.Now()
	}}
	env.KeepAlive(inner) // it has the probes
	job := trial.Job{Scenario: "steps", Workload: "churn", Strategy: results.StrategyRCU, Params: map[string]string{"count": "100"}, Options: trial.DefaultOptions()}
	if err := trial.Run(ctx, inner, &job); err != nil {
		return nil, err
	}
	lap(at)
	return steps, nil
}

// attaching is what a trial's attaching is made of, each step alone.
type attaching struct {
	Steps               []step
	Programs, Functions int
}

func measureAttach(_ context.Context, env *task.Env, _ task.None) (a attaching, err error) {
	last := ktime.Now()
	p, _, err := probes.AttachInTurn(probes.Config{}, func(name string) {
		now := ktime.Now()
		a.Steps = append(a.Steps, step{name, now - last})
		last = now
	})
	if err != nil {
		return a, err
	}
	env.KeepAlive(p) // to detach takes as long
	a.Programs, a.Functions = p.Attached()
	return a, nil
}

// stepTable is those of one kernel, as Markdown. The workload's own part is left out.
func stepTable(ctx context.Context, on *Machines, t *target.VM, kernel string) (string, error) {
	vm := target.VM{Machine: t.Machine, Images: t.Images, Programs: t.Programs}
	vm.Machine.Clock, vm.Machine.Accel, vm.Machine.CPUs = results.ClockICount, "", 0
	steps, _, err := call[[]step](ctx, on, &vm, kernel, taskSteps, task.None{})
	if err != nil {
		return "", err
	}
	a, _, err := call[attaching](ctx, on, &vm, kernel, taskAttach, task.None{})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe steps in a guest of one CPU on the deterministic clock, where a nanosecond is an instruction or a wait, %s:\n\n", kernel)
	fmt.Fprintln(&b, "| step | million |\n|---|---:|")
	row := func(name string, s step) { fmt.Fprintf(&b, "| %s | %.0f |\n", name, float64(s.NS)/1e6) }
	for _, s := range steps {
		if s.Name != trial.StageMeasure {
			row(s.Name, s)
		}
	}
	for _, s := range a.Steps {
		row("attach, in another boot, one after the other: "+s.Name, s)
	}
	fmt.Fprintf(&b, "\n%d programs are attached, to %d functions.\n", a.Programs, a.Functions)
	return b.String(), nil
}
