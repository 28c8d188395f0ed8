// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads/hold"
)

// TestVMAloneHoldReader holds readers for known times and finds them in the right
// phase: mapprof bench hold fails where one is shorter than the hold, where
// the excess is beyond what the phase takes without one, or where a reader
// shows that doesn't count. TestVMSoakHoldReader holds each for two lengths.
func TestVMAloneHoldReader(t *testing.T) { holdReader(t, "--rcu", "60ms", "--tasks-trace", "150ms") }

func holdReader(t *testing.T, lengths ...string) {
	for _, kernel := range []string{"6.12", "7.2"} {
		t.Run(kernel, func(t *testing.T) {
			t.Parallel() // both sleep nearly always
			code, stdout, stderr := mapprof(t, append([]string{"bench", "hold", "--kernel", kernel}, lengths...)...)
			t.Logf("\n%s", stdout)
			if code != exitOK {
				t.Errorf("exit %d\n%s", code, stderr)
			}
		})
	}
}

// TestVMHoldReaderInRun is the flag as a user gives it.
func TestVMHoldReaderInRun(t *testing.T) {
	t.Parallel()
	run := runVM(t, "--kernel", "6.12", "--strategy", "rcu", "--count", "10", "--hold-reader", "rcu=40ms")
	s := run.Scenarios[0]
	held := (40 * time.Millisecond).Nanoseconds()
	if m := s.Trials[0].Metrics[hold.MetricName]; m.N != 10 || m.Min < float64(held) {
		t.Errorf("metric %s: %+v", hold.MetricName, m)
	}
	for _, phase := range []string{results.PhaseRCUGP, results.PhaseUpdateWait} {
		if p := s.Phases[phase]; p.N != 10 || p.MinNS < held {
			t.Errorf("%s: %+v", phase, p)
		}
	}
	if s.Params["hold-reader"] != "rcu=40ms" {
		t.Errorf("params %v", s.Params)
	}
}

// TestVMNoProbes: operations are timed, nothing else is claimed.
func TestVMNoProbes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/run"
	code, stdout, stderr := mapprof(t, "run", "--kernel", "6.12", "--count", "30", "--no-probes", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := d.Run.Scenarios[0].Trials[0]
	if tr.Ops != 30 || tr.Puts != 0 || tr.Phases[results.PhaseOp].N != 30 || len(d.Run.Target.Probes) != 0 {
		t.Errorf("%+v, probes %v", tr, d.Run.Target.Probes)
	}
	if _, there := tr.Phases[results.PhaseLimbo]; there {
		t.Error("a limbo that nobody watched")
	}
	t.Log(stdout)
}
