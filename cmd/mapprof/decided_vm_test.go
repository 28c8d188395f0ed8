// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/kernels"
)

// TestVMUntilDecided lets a real run of two kernels end when the gate decides: whose
// updates are unlike, it says regression.
func TestVMUntilDecided(t *testing.T) {
	t.Parallel()
	untilDecided(t, "7.2", "6.12", exitRegression) // an update waits for a whole grace period
}

// untilDecided runs two kernels until the gate decides as it must, and before as many
// trials as are allowed. The kernels' boots took turns. The names ./a.bzImage and
// ./b.bzImage are those of one image.
func untilDecided(t *testing.T, baseline, candidate string, want int) {
	t.Helper()
	k, err := kernels.Resolve(t.Context(), "6.12", kernels.Options{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"a.bzImage", "b.bzImage"} {
		if err := os.Symlink(k.Path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	const most = 12
	code, _, stderr := mapprofIn(t, dir, nil, "run", "--workload", "churn", "--count", "30", "--clock", "icount", "--kernel", baseline, "--kernel", candidate,
		"--until-decided", "--max-trials", "12", "--baseline-kernel", baseline, "-o", "run")
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	run := d.Run
	if run.Partial || run.Looks != 3 || len(run.Scenarios) != 2 { // after 3, 6 and 12 turns
		t.Fatalf("partial %v, %d looks, %d scenarios", run.Partial, run.Looks, len(run.Scenarios))
	}
	a, b := run.Scenarios[0], run.Scenarios[1]
	if n := len(a.Trials); n < 3 || n >= most || len(b.Trials) != n {
		t.Fatalf("%d and %d trials, of %d at most", n, len(b.Trials), most)
	}
	for i := range a.Trials {
		if a.Trials[i].Index != i || b.Trials[i].Index != i {
			t.Errorf("turn %d has trials %d and %d", i, a.Trials[i].Index, b.Trials[i].Index)
		}
	}
	code, stdout, stderr := mapprofIn(t, dir, nil, "gate", "run", "--by", "kernel", "--baseline-kernel", baseline)
	if t.Logf("%d turns\n%s", len(a.Trials), stdout); code != want || !strings.Contains(stdout+stderr, "3 looks were planned") {
		t.Errorf("exit %d, want %d\n%s%s", code, want, stdout, stderr)
	}
}
