// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mapprof/mapprof/results"
)

// TestVMHolders: every holder of a map is named, or counted as a reference unaccounted
// for; none lets go early; and the last put of a program's map is by the program's free,
// whose wait is told apart. 40,000 references are more than a 16-bit limit had.
func TestVMHolders(t *testing.T) {
	t.Parallel()
	const count, after = 2, 20 * time.Millisecond
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--kernel", "6.12", "--workload", "holders",
		"--count", "2", "--after", after.String(), "--references", "40000", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &d.Run.Scenarios[0]
	tr := &s.Trials[0]
	found := strings.Join(tr.Findings, "\n") + "\n"
	for by, want := range map[string]string{
		"iterator":          "held by iterator of init; last put by init",
		"iterator-fd":       "1 reference unaccounted for; last put by init",
		"mmap":              "held by mapping of init; last put by init, in bpf_map_release",
		"pin":               "held by pin in /sys/fs/bpf; last put by",
		"program":           "held by program mp_user; last put by a kworker of bpf_prog_free_deferred, after the program's own grace period",
		"sleepable-program": "held by program mp_sleeper; last put by a kworker of bpf_prog_free_deferred, after the program's own grace period",
		"outer":             "held by outer map mp_outer; last put by init",
		"fd-elsewhere":      "held by fd 3 of exe; last put by exe, in bpf_map_release",
		"scm-rights":        "1 reference unaccounted for; last put by init",
	} {
		if !strings.Contains(found, by+": "+want) {
			t.Errorf("nothing found begins with %q", by+": "+want)
		}
		if m := s.Metrics["holders.held."+by]; m.N != count || m.Min < float64(after) {
			t.Errorf("%s held a map for %+v", by, m)
		}
		if m := s.Metrics["holders.limbo."+by]; m.N != count {
			t.Errorf("%s: limbo of %d maps", by, m.N)
		}
		free, put := s.Metrics["holders.program_free."+by], s.Metrics["holders.last_put."+by]
		if programs := strings.HasSuffix(by, "program"); programs != (free.N == count) || put.N != count || free.P50 > put.P50 {
			t.Errorf("%s: %d waits for a program's free of %v ns, last put after %v ns", by, free.N, free.P50, put.P50)
		}
	}
	plain, sleepable := s.Metrics["holders.program_free.program"], s.Metrics["holders.program_free.sleepable-program"]
	if sleepable.P50 <= plain.P50 {
		t.Errorf("a sleepable program's free waited %v ns, another's %v ns", sleepable.P50, plain.P50)
	}
	if !strings.Contains(found, "references: 40000 were taken beside the first, none was refused; the map had 40001\n") {
		t.Error("the references are not told")
	}
	if want := uint64(9 * count); tr.Puts != want || tr.Freed != want || tr.Lost != 0 {
		t.Errorf("%d puts, %d freed, %d lost", tr.Puts, tr.Freed, tr.Lost)
	}
	if t.Failed() {
		t.Log(found, stdout)
	}
}
