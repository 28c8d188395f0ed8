// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"io"
	"os"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/gatetest"
	"github.com/mapprof/mapprof/engine/targetflags"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

// bootSelfTest makes a real run of a self-test: each trial is a boot on the
// deterministic clock.
func bootSelfTest(ctx context.Context, f *selfTestFlags, stop <-chan struct{}, r gatetest.Run) error {
	flags := targetflags.Flags{Target: targetflags.VM, Kernels: []string{f.kernel}, Arch: f.arch, Offline: f.offline,
		Machine: target.Machine{Clock: results.ClockICount, Timeout: f.timeout}}
	where, err := findTarget(ctx, &flags, io.Discard)
	if err != nil {
		return err
	}
	out, err := results.Create(r.Dir)
	if err != nil {
		return err
	}
	defer out.Abort()
	options := trial.DefaultOptions()
	options.NoDeaths = true
	_, err = engine.Run(ctx, engine.Plan{
		Target: where, Workload: r.Workload, Params: r.Params, Strategies: []string{r.Strategy}, Trials: r.Trials, Seed: r.Seed,
		Options: options, Timeout: f.timeout, Command: append([]string{"mapprof"}, os.Args[1:]...),
		Out: out, Stop: stop, Progress: engine.NoProgress{},
	})
	return err
}
