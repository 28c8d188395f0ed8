// SPDX-License-Identifier: Apache-2.0

//go:build linux

package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/workloads"
)

func ran(t *testing.T, ctx context.Context, w *Workload) (workloads.Result, string) {
	t.Helper()
	i, err := w.Setup(ctx, results.StrategyAny)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	i.(workloads.Foreign).SetOutput(&out)
	r, err := i.Run(ctx, func(uint64, uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	return r, out.String()
}

// TestRun: how a program ends is told, with what it printed; none is left running.
func TestRun(t *testing.T) {
	for _, tt := range []struct {
		script, output string
		env            []string
		want           workloads.CommandEnd
	}{
		{"echo out; echo err >&2", "out\nerr\n", nil, workloads.CommandEnd{}},
		{"echo $WHAT; exit 3", "set\n", []string{"WHAT=set"}, workloads.CommandEnd{ExitCode: 3}},
		{"kill -SEGV $$", "", nil, workloads.CommandEnd{ExitCode: 139, Signal: "segmentation fault"}},
	} {
		r, out := ran(t, t.Context(), &Workload{Args: []string{"sh", "-c", tt.script}, Env: tt.env})
		if c := r.Command; c == nil || c.ExitCode != tt.want.ExitCode || c.Signal != tt.want.Signal || c.Stopped || out != tt.output || r.Interrupted {
			t.Errorf("%s: %+v, %q", tt.script, r.Command, out)
		}
	}
}

// TestRunIsStopped: at the end of its duration, or when it is told to, a recording is
// whole, and the program with all that it started has ended.
func TestRunIsStopped(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	w := &Workload{Args: []string{"sh", "-c", "sleep 1000 & echo $! > " + pid + "; wait"}, Duration: 500 * time.Millisecond}
	r, _ := ran(t, t.Context(), w)
	if c := r.Command; c == nil || !c.Stopped || r.Interrupted {
		t.Errorf("after its duration: %+v", c)
	}
	child, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	// It has been killed; that takes a moment, and it is a zombie until its new parent
	// looks.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(child)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("what it started is there still: %s", stat)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, _ := ran(t, ctx, &Workload{Args: []string{"sleep", "1000"}}); r.Command == nil || !r.Command.Stopped {
		t.Errorf("told to end: %+v", r.Command)
	}
	if r, _ := ran(t, ctx, &Workload{}); r.Command != nil {
		t.Errorf("without a program: %+v", r.Command)
	}
}
