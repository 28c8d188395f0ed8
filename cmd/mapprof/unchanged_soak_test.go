// SPDX-License-Identifier: Apache-2.0

//go:build vm && soak

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/mapprof/mapprof/analyze"
)

// TestVMSoakUnchangedPairs makes 80 runs of one kernel by the command that
// docs/ci.md shows for a gate, each with a seed of its own, and has 40 pairs of them
// judged, none of which share a run. At most 2 may be inconclusive, and none a
// regression. A tasks-trace grace period takes whole ticks, so the moment at which a
// trial meets them decides about its median. MAPPROF_SOAK_PAIRS is another number
// of pairs.
func TestVMSoakUnchangedPairs(t *testing.T) {
	pairs := 40
	if s := os.Getenv("MAPPROF_SOAK_PAIRS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("MAPPROF_SOAK_PAIRS=%s is no number of pairs", s)
		}
		pairs = n
	}
	base := documentedRun(t)
	root := t.TempDir()
	dirs := make([]string, 2*pairs)
	t.Run("runs", func(t *testing.T) {
		for i := range dirs {
			dirs[i] = filepath.Join(root, strconv.Itoa(i))
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel() // the deterministic clock doesn't mind
				args := append(slices.Clone(base), "--seed", strconv.Itoa(1000+i), "-o", dirs[i])
				if code, _, stderr := mapprof(t, args...); code != exitOK {
					t.Fatalf("exit %d\n%s", code, stderr)
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	verdicts := map[int]int{}
	for i := range pairs {
		code, stdout, stderr := mapprof(t, "gate", "--baseline", dirs[2*i], "--candidate", dirs[2*i+1])
		verdicts[code]++
		if code != exitOK {
			t.Logf("pair %d: exit %d\n%s%s", i, code, stdout, stderr)
		}
	}
	for _, v := range []struct {
		name       string
		code, most int
	}{{"regression", exitRegression, 0}, {"inconclusive", exitInconclusive, pairs / 20}, {"failure", exitFailure, 0}, {"usage", exitUsage, 0}} {
		n := verdicts[v.code]
		lo, hi := analyze.ExactInterval(n, pairs, 0.95)
		text := fmt.Sprintf("%s: %d of %d unchanged pairs (%.1f … %.1f %%)", v.name, n, pairs, 100*lo, 100*hi)
		if t.Log(text); n > v.most {
			t.Errorf("%s, at most %d allowed", text, v.most)
		}
	}
}

// documentedRun is the command of docs/ci.md that makes a gate's baseline, on a kernel
// that is there, and without the directory that it writes.
func documentedRun(t *testing.T) []string {
	t.Helper()
	for _, args := range docCommands(t)["ci.md"] {
		kernel, out := slices.Index(args, "--kernel"), slices.Index(args, "-o")
		if args[0] == "run" && kernel > 0 && out > 0 && args[out+1] == "before" {
			args[kernel+1] = "6.12"
			return slices.Delete(args, out, out+2)
		}
	}
	t.Fatal("docs/ci.md shows no run of a baseline")
	return nil
}
