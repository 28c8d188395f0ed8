// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/internal/golden"
	"github.com/mapprof/mapprof/results"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the command lines of testdata/script, each a shell-like
// script with the output that it must give. $RUNS are run directories that an
// early version wrote. With -update, what is compared is rewritten.
//
//	exits 2 mapprof run --no-such-flag
//	cmpenv stderr no-such-flag.txt
func TestScripts(t *testing.T) {
	runs, err := filepath.Abs("testdata/v0")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: golden.Update(),
		Setup: func(env *testscript.Env) error {
			env.Setenv("MAPPROF_CACHE", filepath.Join(env.WorkDir, "cache"))
			return os.CopyFS(filepath.Join(env.WorkDir, "runs"), os.DirFS(runs))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "elf": elf, "nightly": nightly},
	})
}

// exits runs a command that must end with an exit code: exits CODE COMMAND.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGS]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// elf makes a file that begins as an ELF does: elf FILE.
func elf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: elf FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append([]byte("\x7fELF"), make([]byte, 4096)...), 0o644))
}

// nightly makes runs up, one a night, of which those from SLOWER on are 10 % slower
// and of a newer kernel: nightly FOLDER RUNS SLOWER.
func nightly(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: nightly FOLDER RUNS SLOWER")
	}
	runs, err := strconv.Atoi(args[1])
	ts.Check(err)
	slower, err := strconv.Atoi(args[2])
	ts.Check(err)
	for i := range runs {
		factor, release := 1.0, "6.12.1"
		if i >= slower {
			factor, release = 1.1, "6.12.2"
		}
		run := synthetic.Seeded(1, 0.02, factor, results.ClockICount, uint64(i))
		run.Started = time.Date(2026, 9, 1+i, 3, 0, 0, 0, time.UTC)
		run.Targets[0].Kernel.Release = release
		w, err := results.Create(filepath.Join(ts.MkAbs(args[0]), fmt.Sprintf("night-%02d", i+1)))
		ts.Check(err)
		ts.Check(w.Finish(run))
	}
}
