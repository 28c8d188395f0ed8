// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

// The tasks of this package, each one boot.
const (
	taskHold      = "bench-hold"
	taskWatching  = "bench-watching"
	taskProbeCost = "bench-probe-cost"
)

// Handlers is what does them in a guest.
func Handlers() task.Handlers {
	return task.Handlers{
		taskHold:      task.Handle(measureHolds),
		taskWatching:  task.Handle(measureWatching),
		taskProbeCost: task.Handle(measureProbeCosts),
	}
}

// Hold measures held readers on a kernel of the target.
func Hold(ctx context.Context, t target.Target, kernel int, c HoldConfig, onProgress func(task.Progress)) ([]HoldRow, target.Done, error) {
	return target.Call[[]HoldRow](ctx, t, kernel, target.Work{Task: taskHold, Request: c, OnProgress: onProgress})
}

// Watch measures workloads with probes and without on a kernel of the target.
func Watch(ctx context.Context, t target.Target, kernel int, churns []WatchedChurn, onProgress func(task.Progress)) ([]WatchedResult, target.Done, error) {
	return target.Call[[]WatchedResult](ctx, t, kernel, target.Work{Task: taskWatching, Request: churns, OnProgress: onProgress})
}

// say tells of progress where a stage is a sentence.
func say(env *task.Env, text string) { env.OnProgress(task.Progress{Stage: text}) }

// measure does one trial, without a directory. Its probes are detached: more
// trials follow in the same boot.
func measure(ctx context.Context, j *trial.Job) (*trial.Measurement, error) {
	if j.DrainTimeout == 0 {
		j.DrainTimeout = trial.DefaultOptions().DrainTimeout
	}
	return trial.Measure(ctx, &task.Env{OnProgress: func(task.Progress) {}}, j)
}
