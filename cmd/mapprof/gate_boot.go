// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"io"
	"os"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/engine/gatetest"
	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/results"
)

// bootSelfTest makes a real run of a self-test: each trial is a boot on the
// deterministic clock.
func bootSelfTest(ctx context.Context, f *selfTestFlags, stop <-chan struct{}, r gatetest.Run) error {
	flags := targetFlags{target: targetVM, kernels: []string{f.kernel}, clock: results.ClockICount, offline: f.offline, timeout: f.timeout}
	where, err := flags.resolve(ctx, io.Discard)
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
