// SPDX-License-Identifier: Apache-2.0

//go:build vm

package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

// What befalls a guest whose kernel's command line has it, when its trial has sent
// what it had for the second time: the first, seconds before, is with the host.
const (
	outOfMemory = "mapprof_test=out-of-memory"
	panicking   = "mapprof_test=panic"
)

// faults are the tasks of trials, with these faults.
func faults() task.Handlers {
	run := trial.Handlers()[trial.TaskRun]
	return task.Handlers{trial.TaskRun: func(ctx context.Context, env *task.Env, request []byte) (any, error) {
		cmdline, err := os.ReadFile("/proc/cmdline")
		if err != nil {
			return nil, err
		}
		fault := func() {}
		switch line := string(cmdline); {
		case strings.Contains(line, outOfMemory):
			fault = takeAllMemory
		case strings.Contains(line, panicking):
			fault = func() { _ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0) }
		}
		env.Uplink = &faultyUplink{Uplink: env.Uplink, fault: fault}
		return run(ctx, env, request)
	}}
}

// faultyUplink has a fault after its second commit.
type faultyUplink struct {
	task.Uplink
	fault   func()
	commits int
}

func (u *faultyUplink) Commit(dir string) error {
	err := u.Uplink.Commit(dir)
	if u.commits++; err == nil && u.commits == 2 {
		go u.fault()
	}
	return err
}

func takeAllMemory() {
	for {
		b, err := unix.Mmap(-1, 0, 16<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
		if err != nil || len(b) == 0 {
			return
		}
	}
}

// TestVMCutOff: a guest that the kernel kills for want of memory, and one whose
// kernel panics, leave what was measured until then, whole in itself.
func TestVMCutOff(t *testing.T) {
	for fault, reason := range map[string]string{outOfMemory: target.GuestOutOfMemory, panicking: target.GuestPanicked} {
		t.Run(reason, func(t *testing.T) {
			vm := vmtest.VM(t, "6.12", func(m *target.Machine) { m.Append = []string{fault} })
			dir := filepath.Join(t.TempDir(), "run")
			out, err := results.Create(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Abort()
			run, err := Run(t.Context(), Plan{
				Target: vm, Workload: "churn", Params: map[string]string{"duration": "2m"}, Strategies: []string{results.StrategyRCU},
				Trials: 2, Options: trial.DefaultOptions(), Out: out, Progress: NoProgress{},
			})
			var guest *target.GuestError
			if !errors.As(err, &guest) || guest.Reason != reason || run == nil {
				t.Fatalf("%v, %v", run, err)
			}
			d, err := results.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if run = d.Run; !run.Partial || !strings.Contains(run.PartialReason, "0 of 2 trials") || !strings.Contains(run.PartialReason, reason) ||
				len(run.Scenarios) != 1 || len(run.Scenarios[0].Trials) != 1 {
				t.Fatalf("partial %v: %s; %d scenarios", run.Partial, run.PartialReason, len(run.Scenarios))
			}
			s := &run.Scenarios[0]
			tr := &s.Trials[0]
			var lines uint64
			if err := d.Deaths(func(*results.Death) error { lines++; return nil }); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d operations in %d ms, %d deaths, %d pending; %v", tr.Ops, tr.DurationNS/1e6, tr.Freed, tr.InFlight, run.Warnings)
			limbo, op := s.Phases[results.PhaseLimbo], s.Phases[results.PhaseOp]
			if !tr.Partial || tr.Freed == 0 || lines != tr.Freed || limbo.N != tr.Freed || limbo.P50NS <= 0 || tr.DurationNS < 4e9 ||
				tr.Ops < tr.Freed || op.N < tr.Ops || op.N > tr.Ops+100 || s.Loop != "closed" || tr.MemAvailableMinBytes == 0 {
				t.Errorf("%d lines, %d operations timed, loop %q, limbo %+v, %+v", lines, op.N, s.Loop, limbo, tr)
			}
			if err := errors.Join(tr.Balance(), Verify(run)); err != nil {
				t.Error(err)
			}
		})
	}
}
