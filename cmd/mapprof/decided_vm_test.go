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

// TestVMUntilDecided lets real runs end when the gate decides: of one image under two
// names it says pass, of two kernels whose updates are unlike regression, and both
// before as many trials as are allowed. The kernels' boots took turns.
func TestVMUntilDecided(t *testing.T) {
	t.Parallel()
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
	for _, c := range []struct {
		name, baseline, candidate string
		want                      int
	}{
		{"aa", "./a.bzImage", "./b.bzImage", exitOK},
		{"ab", "7.2", "6.12", exitRegression}, // an update waits for a whole grace period
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := mapprofIn(t, dir, nil, "run", "--workload", "churn", "--count", "30", "--clock", "icount", "--kernel", c.baseline, "--kernel", c.candidate,
				"--until-decided", "--max-trials", "12", "--baseline-kernel", c.baseline, "-o", c.name)
			if code != exitOK {
				t.Fatalf("exit %d\n%s", code, stderr)
			}
			d, err := results.Open(filepath.Join(dir, c.name))
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
			code, stdout, stderr := mapprofIn(t, dir, nil, "gate", c.name, "--by", "kernel", "--baseline-kernel", c.baseline)
			if t.Logf("%d turns\n%s", len(a.Trials), stdout); code != c.want || !strings.Contains(stdout+stderr, "3 looks were planned") {
				t.Errorf("exit %d, want %d\n%s%s", code, c.want, stdout, stderr)
			}
		})
	}
}
