// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"io"

	"github.com/mapprof/mapprof/engine"
	"github.com/mapprof/mapprof/report/progress"
	"github.com/mapprof/mapprof/target/task"
)

// shownProgress is the engine's progress, as a person sees it.
type shownProgress struct{ progress.Progress }

func newProgress(w io.Writer) engine.Progress { return shownProgress{progress.New(w)} }

// Stage implements engine.Progress.
func (p shownProgress) Stage(s task.Progress) {
	p.Progress.Stage(progress.Stage{Name: s.Stage, Done: s.Done, Total: s.Total})
}
