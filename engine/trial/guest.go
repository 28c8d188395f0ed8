// SPDX-License-Identifier: Apache-2.0

package trial

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

func RunGuest(ctx context.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	j, err := DecodeJob(data)
	if err != nil {
		return err
	}
	ch, err := target.OpenGuestChannel()
	if err != nil {
		return err
	}
	defer ch.Close()
	if j.Doctor {
		d, err := json.Marshal(Diagnose())
		if err != nil {
			return err
		}
		return ch.Send(EventDoctor, d)
	}
	say := func(e Progress) {
		// Progress that can't be sent is no reason to stop; the results
		// that can't be sent are.
		if b, err := json.Marshal(e); err == nil {
			_ = ch.Send(EventProgress, b)
		}
	}
	dir := filepath.Join(os.TempDir(), "run")
	t := &Trial{Job: j, OnProgress: say, PowersOffAfter: true}
	defer runtime.KeepAlive(t) // its probes would be detached when they are collected
	if err := Run(ctx, t, dir); err != nil {
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

// GuestJobPath is where the host puts the job into the guest's initramfs.
const GuestJobPath = "/mapprof/job.json"

// runFiles are what a guest may send, run.json last: with it the directory is
// whole.
var runFiles = []string{results.HistogramsFile, results.ProfileFile, results.DeathsFile, results.RunFile}

// GuestLimits bound what a trial's guest may send; tests make them smaller.
var GuestLimits = target.Limits{Names: runFiles}
