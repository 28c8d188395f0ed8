// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestTraceIsStreamed: a trace of 100,000 deaths, 60 MB of it, is never held in
// memory, whatever it is written to.
func TestTraceIsStreamed(t *testing.T) {
	const n = 100_000
	work := t.TempDir()
	dir := filepath.Join(work, "run")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range int64(n) {
		d := results.Death{Scenario: "s", Path: "rcu", MapID: uint32(i), MapType: "Array", MapName: "mp_inner", Comm: "mapprof", MemBytes: 392,
			PutNS: i * 1000, EnqueueNS: i*1000 + 100, RCUEndNS: i*1000 + 15e6, FreeNS: i*1000 + 16e6, FreedNS: i*1000 + 17e6}
		if err := w.Death(&d); err != nil {
			t.Fatal(err)
		}
	}
	limbo := map[string]results.Stats{results.PhaseLimbo: {N: n}}
	if err := w.Finish(&results.Run{Targets: []results.Target{{}}, Scenarios: []results.Scenario{{ID: "s", Phases: limbo, Trials: []results.Trial{{Phases: limbo}}}}}); err != nil {
		t.Fatal(err)
	}
	binary, file := builtMapprof(t), filepath.Join(work, "trace.json")
	for _, args := range [][]string{{"-o", file}, nil} {
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"export", dir, "--format", "trace"}, args...)...)
		out, err := os.Create(filepath.Join(work, "stdout"))
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = out, &stderr
		peak, err := runForPeak(t, cmd)
		if err != nil {
			t.Fatalf("%v: %s", err, &stderr)
		}
		out.Close()
		if args == nil {
			file = out.Name()
		}
		st, err := os.Stat(file)
		if err != nil || st.Size() < 40e6 {
			t.Errorf("%v: %v", st, err)
		}
		t.Logf("%v: %d MB", args, peak/1e6)
		if peak > 130e6 {
			t.Errorf("%v takes %d MB", args, peak/1e6)
		}
	}
}
