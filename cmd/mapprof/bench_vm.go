// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mapprof/mapprof/target"
)

// benchVM says where a benchmark of one boot runs.
type benchVM struct {
	kernels []string
	accel   string
	clock   string // where the benchmark has a choice
	offline bool
	timeout time.Duration
}

// eventBench is what the guest of a benchmark sends: its result, as JSON.
const eventBench = "bench"

// run boots a kernel, hands config to the same bench command in it, and
// decodes what that sends.
func (b *benchVM) run(ctx context.Context, stderr progressSink, kernel, name string, config, result any) (target.Outcome, error) {
	k, err := target.ResolveKernel(ctx, kernel, target.KernelOptions{Offline: b.offline})
	if err != nil {
		return target.Outcome{}, err
	}
	data, err := json.Marshal(config)
	if err != nil {
		return target.Outcome{}, err
	}
	var sent []byte // decoded at the end: an earlier boot may have sent some, too
	vm := target.VM{Kernel: k, Accel: b.accel, Clock: b.clock, Timeout: b.timeout}
	out, err := vm.Run(ctx, target.Job{
		Args: []string{"bench", name}, Files: map[string][]byte{guestJobPath: data},
		Event: func(kind string, payload []byte) {
			switch kind {
			case eventBench:
				sent = bytes.Clone(payload)
			case eventProgress:
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

// progressSink takes one line of a guest: not to be trusted.
type progressSink func(line string)

// inBenchGuest runs f in the guest: it reads config and sends what f returns.
func inBenchGuest[C, R any](f func(c C, say progressSink) (R, error)) error {
	data, err := os.ReadFile(guestJobPath)
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
	result, err := f(config, func(line string) { _ = ch.Send(eventProgress, []byte(line)) })
	if err != nil {
		return err
	}
	if data, err = json.Marshal(result); err != nil {
		return err
	}
	return ch.Send(eventBench, data)
}

// measureJob does one trial of churn in this process, without a directory.
func measureJob(ctx context.Context, j *job) (*trial, error) {
	t := &trial{job: j, say: func(progressEvent) {}, begin: time.Now()}
	return t, t.measure(ctx)
}
