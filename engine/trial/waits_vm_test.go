// SPDX-License-Identifier: Apache-2.0

//go:build vm

package trial

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

const waitsTask = "update-waits"

// waitsJob is a trial of churn, and how often an operation of it waits for a grace
// period.
type waitsJob struct {
	Flags string
	waits map[string]uint64 // by kernel; "": any other
}

// waitsJobs begin with the one that has the most inner maps open at once: the
// table of file descriptors has grown after it.
func waitsJobs(kernel string) []waitsJob {
	jobs := []waitsJob{
		{"slots=200 batch=200", map[string]uint64{"6.1": 200, "": 1}},
		{"outer=hash-of-maps slots=32 batch=32", map[string]uint64{"6.1": 32, "": 1}},
		{"outer=hash-of-maps op=delete slots=32 batch=32", map[string]uint64{"6.1": 33, "": 2}},
		{"slots=4", map[string]uint64{"": 1}},
		{"slots=4 readers=1", map[string]uint64{"": 1}},
		{"outer=hash-of-maps slots=4", map[string]uint64{"": 1}},
		{"outer=hash-of-maps-noprealloc slots=4", map[string]uint64{"": 1}},
		{"outer=hash-of-maps op=delete slots=4", map[string]uint64{"": 2}},
		{"op=delete slots=4", map[string]uint64{"": 2}},
	}
	if kernel == "5.10" { // it has no batches for maps of maps
		jobs = jobs[3:]
	}
	return jobs
}

type waitsReply struct{ Ops, Waits uint64 }

func countWaits(ctx context.Context, env *task.Env, jobs []waitsJob) (replies []waitsReply, err error) {
	for _, j := range jobs {
		params := map[string]string{"count": "5"}
		for _, f := range strings.Fields(j.Flags) {
			name, value, _ := strings.Cut(f, "=")
			params[name] = value
		}
		m, err := Measure(ctx, env, &Job{Workload: "churn", Params: params, Strategy: results.StrategyRCU, Options: DefaultOptions()})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", j.Flags, err)
		}
		s, _, err := m.scenario()
		if err != nil {
			return nil, err
		}
		replies = append(replies, waitsReply{s.Trials[0].Ops, s.Phases[results.PhaseUpdateWait].N})
	}
	return replies, nil
}

// TestVMUpdateWaitsOnEveryKernel: each wait in the workload's process is one of an
// update or a delete, and each of these waits is seen.
func TestVMUpdateWaitsOnEveryKernel(t *testing.T) {
	for _, kernel := range vmtest.Kernels() {
		t.Run(kernel, func(t *testing.T) {
			jobs := waitsJobs(kernel)
			replies := vmtest.Call[[]waitsReply](t, vmtest.VM(t, kernel), waitsTask, jobs)
			if len(replies) != len(jobs) {
				t.Fatalf("%d replies of %d trials", len(replies), len(jobs))
			}
			for i, r := range replies {
				each, ok := jobs[i].waits[kernel]
				if !ok {
					each = jobs[i].waits[""]
				}
				if r.Ops != 5 || r.Waits != r.Ops*each {
					t.Errorf("%s: %d waits in %d operations, want %d in each", jobs[i].Flags, r.Waits, r.Ops, each)
				}
			}
		})
	}
}
