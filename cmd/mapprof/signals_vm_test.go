// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mapprof/mapprof/engine/trial"
	"github.com/mapprof/mapprof/internal/vmtest"
	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

// A recording, and top, that a signal ends at any stage: in one boot.

const signalsGuest = "guest-signals"

// signalCase says when the signal comes: when a line of that text is told.
type signalCase struct {
	Name, Args string
	At         string // of stderr; of stdout where top tells it
	Stdout     bool
}

const signalDir = localRunDir // where leftLocally looks

func signalCases() []signalCase {
	record := "record --target local -o " + signalDir
	return []signalCase{
		{Name: "record, attaching", Args: record, At: ": " + trial.StageAttach},
		{Name: "record, measuring", Args: record, At: ": " + trial.StageMeasure},
		{Name: "record, at its end", Args: record + " --duration 1s", At: ": " + trial.StageDetach},
		{Name: "top", Args: "top --plain --interval 200ms", At: "deaths", Stdout: true},
	}
}

// signalResult is what came of one.
type signalResult struct {
	Exit, Text string
	Began      time.Duration // from the start to the signal
	Took       time.Duration // from the signal to the end
	Left       []string      // files, and what of BPF is in the kernel
	Run        string        // how the run directory is: whole, or why not
	Attached   int           // hooks, by the run directory
}

func init() {
	guestTasks[signalsGuest] = task.Handle(func(_ context.Context, _ *task.Env, cases []signalCase) (all []signalResult, err error) {
		for _, c := range cases {
			r, err := signalled(&c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			all = append(all, r)
			if err := os.RemoveAll(signalDir); err != nil {
				return nil, err
			}
		}
		return all, nil
	})
}

// signalled runs one of them and sends it a signal when it is time.
func signalled(c *signalCase) (r signalResult, err error) {
	cmd := asMapprof(strings.Fields(c.Args)...)
	var other strings.Builder
	pipe := cmd.StderrPipe
	if cmd.Stdout = &other; c.Stdout {
		pipe, cmd.Stdout, cmd.Stderr = cmd.StdoutPipe, nil, &other
	}
	told, err := pipe()
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return r, err
	}
	var text strings.Builder
	var at time.Time
	for sc := bufio.NewScanner(told); sc.Scan(); {
		fmt.Fprintln(&text, sc.Text())
		if at.IsZero() && strings.Contains(sc.Text(), c.At) {
			at = time.Now()
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				return r, err
			}
		}
	}
	_ = cmd.Wait() // its state says it
	r.Took, r.Exit, r.Text = time.Since(at), cmd.ProcessState.String(), text.String()+other.String()
	if at.IsZero() {
		return r, fmt.Errorf("it ended before: %s", r.Text)
	}
	r.Began = at.Sub(began)
	if r.Left, err = leftLocally(); err != nil || c.Stdout {
		return r, err
	}
	d, err := results.Open(signalDir)
	switch {
	case err != nil:
		r.Run = err.Error()
	case d.Run.Partial:
		r.Run = "partial: " + d.Run.PartialReason
	default:
		r.Run = "whole"
		for _, p := range d.Run.Target.Probes {
			if p.Mechanism != "" {
				r.Attached++
			}
		}
	}
	return r, nil
}

// TestVMLocalSignals: at whatever stage a signal comes, no program stays attached, and a
// recording leaves a whole directory. One that is attaching attaches no more.
func TestVMLocalSignals(t *testing.T) {
	t.Parallel()
	cases := signalCases()
	all := vmtest.Call[[]signalResult](t, vmtest.VM(t, "6.12"), signalsGuest, cases)
	// As long as it takes this guest to attach, which is all that a busy host changes.
	limit := max(10*time.Second, 3*all[1].Began)
	for i, r := range all {
		left := []string{signalDir}
		if cases[i].Stdout {
			left = nil
		} else if r.Run != "whole" {
			t.Errorf("%s: the directory: %s", cases[i].Name, r.Run)
		}
		if r.Exit != "exit status 0" || r.Took > limit || !slices.Equal(r.Left, left) {
			t.Errorf("%s: %s, %v after the signal; left: %q\n%s", cases[i].Name, r.Exit, r.Took, r.Left, r.Text)
		}
		t.Logf("%s: the signal came after %v, the end %v later; %d hooks were attached",
			cases[i].Name, r.Began.Round(time.Millisecond), r.Took.Round(time.Millisecond), r.Attached)
	}
	if all[0].Attached >= all[1].Attached {
		t.Errorf("it went on to attach after the signal: %d of %d hooks", all[0].Attached, all[1].Attached)
	}
}
