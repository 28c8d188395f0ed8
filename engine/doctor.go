// SPDX-License-Identifier: Apache-2.0

//go:build linux

package engine

import (
	"context"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/target"
	"github.com/mapprof/mapprof/target/task"
)

// Diagnose tells which probes attach on one of a target's kernels, and which phases
// they make visible.
func Diagnose(ctx context.Context, t target.Target, kernel int) (trial.Diagnosis, error) {
	d, done, err := target.Call[trial.Diagnosis](ctx, t, kernel, target.Work{Task: trial.TaskDoctor, Request: task.None{}})
	if err != nil {
		return d, err
	}
	done.Describe(&d.Target)
	d.Warnings = append(d.Warnings, done.Outcome.Warnings...)
	if reason := done.Outcome.AccelReason; reason != "" {
		d.Warnings = append(d.Warnings, reason)
	}
	return d, nil
}
