// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target"
)

func runGuest(ctx context.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	j, err := decodeJob(data)
	if err != nil {
		return err
	}
	ch, err := target.OpenGuestChannel()
	if err != nil {
		return err
	}
	defer ch.Close()
	if j.Doctor {
		d, err := json.Marshal(diagnose())
		if err != nil {
			return err
		}
		return ch.Send(eventDoctor, d)
	}
	say := func(e progressEvent) {
		// Progress that can't be sent is no reason to stop; the results
		// that can't be sent are.
		if b, err := json.Marshal(e); err == nil {
			_ = ch.Send(eventProgress, b)
		}
	}
	dir := filepath.Join(os.TempDir(), "run")
	t := &trial{job: j, say: say, lastAct: true}
	defer runtime.KeepAlive(t) // its probes would be detached when they are collected
	if err := runTrial(ctx, t, dir); err != nil {
		return err
	}
	for _, name := range runFiles {
		p := filepath.Join(dir, name)
		if _, err := os.Stat(p); os.IsNotExist(err) {
			continue
		}
		if err := ch.SendFilePath(name, p); err != nil {
			return err
		}
	}
	return ch.Done()
}

// guestJobPath is where the host puts the job into the guest's initramfs.
const guestJobPath = "/mapprof/job.json"

// runFiles are what a guest may send, run.json last: with it the directory is
// whole.
var runFiles = []string{results.HistogramsFile, results.ProfileFile, results.DeathsFile, results.RunFile}

// guestLimits bound what a trial's guest may send; tests make them smaller.
var guestLimits = target.Limits{Names: runFiles}
