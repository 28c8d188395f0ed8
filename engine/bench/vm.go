// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/target"
)

// VM says where a benchmark of one boot runs.
type VM struct {
	Kernels []string
	Accel   string
	Clock   string // where the benchmark has a choice
	Offline bool
	Timeout time.Duration
}

// EventBench is what the guest of a benchmark sends: its result, as JSON.
const EventBench = "bench"

// Run boots a kernel, hands config to the same bench command in it, and
// decodes what that sends.
func (b *VM) Run(ctx context.Context, stderr ProgressSink, kernel, name string, config, result any) (target.Outcome, error) {
	k, err := target.ResolveKernel(ctx, kernel, target.KernelOptions{Offline: b.Offline})
	if err != nil {
		return target.Outcome{}, err
	}
	data, err := json.Marshal(config)
	if err != nil {
		return target.Outcome{}, err
	}
	var sent []byte // decoded at the end: an earlier boot may have sent some, too
	vm := target.VM{Kernel: k, Accel: b.Accel, Clock: b.Clock, Timeout: b.Timeout}
	out, err := vm.Run(ctx, target.Job{
		Args: []string{"bench", name}, Files: map[string][]byte{trial.GuestJobPath: data},
		Event: func(kind string, payload []byte) {
			switch kind {
			case EventBench:
				sent = bytes.Clone(payload)
			case trial.EventProgress:
				stderr(string(payload))
			}
		},
	})
	for _, w := range out.Warnings {
		stderr("warning: " + kernel + ": " + w)
	}
	switch {
	case err != nil:
		return out, err
	case out.ExitCode != 0:
		return out, fmt.Errorf("the guest's mapprof failed: %s", strings.TrimPrefix(out.Message, "mapprof: "))
	case sent == nil:
		return out, fmt.Errorf("the guest measured nothing")
	}
	if err := json.Unmarshal(sent, result); err != nil {
		return out, fmt.Errorf("read what the guest measured: %w", err)
	}
	return out, nil
}

// ProgressSink takes one line of a guest: not to be trusted.
type ProgressSink func(line string)

// InGuest runs f in the guest: it reads config and sends what f returns.
func InGuest[C, R any](f func(c C, say ProgressSink) (R, error)) error {
	data, err := os.ReadFile(trial.GuestJobPath)
	if err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	var config C
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	ch, err := target.OpenGuestChannel()
	if err != nil {
		return err
	}
	defer ch.Close()
	result, err := f(config, func(line string) { _ = ch.Send(trial.EventProgress, []byte(line)) })
	if err != nil {
		return err
	}
	if data, err = json.Marshal(result); err != nil {
		return err
	}
	return ch.Send(EventBench, data)
}

// MeasureJob does one trial of churn in this process, without a directory.
func MeasureJob(ctx context.Context, j *trial.Job) (*trial.Trial, error) {
	t := &trial.Trial{Job: j, OnProgress: func(trial.Progress) {}, Begin: time.Now()}
	return t, t.Measure(ctx)
}
