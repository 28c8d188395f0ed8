// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/results"
)

// TestVMTeardownOnEveryKernel: the inner maps of an array of maps that dies wait for
// grace periods up to 6.7, and for none since need_defer (20c20bd11a13, 6.8); a map
// that was taken out while it was held waits everywhere. An update that fails waits up
// to 6.7 only.
func TestVMTeardownOnEveryKernel(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--workload", "teardown", "--inner-count", "1000",
		"--kernel", "5.10", "--kernel", "6.1", "--kernel", "6.12", "--kernel", "7.2", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Run.Scenarios); n != 4 {
		t.Fatalf("%d scenarios", n)
	}
	kept := keptPaths(t, d)
	for _, s := range d.Run.Scenarios {
		old := strings.HasPrefix(s.Kernel, "5.10") || strings.HasPrefix(s.Kernel, "6.1.")
		tr := s.Trials[0]
		if tr.Puts != 1001 || tr.Freed != 1001 || tr.Lost != 0 {
			t.Errorf("%s: %d puts, %d freed, %d lost, loss %v", s.Kernel, tr.Puts, tr.Freed, tr.Lost, tr.Loss)
		}
		waited := uint64(0)
		for path, n := range tr.Paths {
			if path != results.StrategyImmediate {
				waited += n
			}
		}
		want := uint64(1)
		if old {
			want = 1001
		}
		if waited != want {
			t.Errorf("%s: %d of 1001 maps waited for a grace period, want %d: %v", s.Kernel, waited, want, tr.Paths)
		}
		if path := kept[s.ID]; path == "" || path == results.StrategyImmediate {
			t.Errorf("%s: the map that was taken out while it was held went by %q", s.Kernel, path)
		}
		for metric, want := range map[string]bool{"update": true, "update.failed.full": old, "update.failed.exists": old, "update.failed.none": old} {
			m := s.Metrics[metric+".waits"]
			if m.N != 20 || m.Mean > 0.5 != want {
				t.Errorf("%s: %s: %.2f of %d updates waited, want %t", s.Kernel, metric, m.Mean, m.N, want)
			}
		}
		for _, metric := range []string{"teardown.puts", "teardown.outer_free"} {
			if m := s.Metrics[metric]; m.N != 1 || m.P50 <= 0 {
				t.Errorf("%s: %s: %+v", s.Kernel, metric, m)
			}
		}
		if _, err := compare.FiguresOf(&s); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.Log(stdout)
	}
}

// keptPaths is the path of the map that was taken out, by scenario: its name ends with
// another letter than those of the others.
func keptPaths(t *testing.T, d *results.Dir) map[string]string {
	t.Helper()
	paths := map[string]string{}
	if err := d.Deaths(func(death *results.Death) error {
		if strings.HasSuffix(death.MapName, "k") {
			paths[death.Scenario] = death.Path
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestVMTeardownHash: those of a hash of maps never wait.
func TestVMTeardownHash(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--workload", "teardown", "--outer", "hash-of-maps", "--kernel", "5.10", "-o", dir)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tr := d.Run.Scenarios[0].Trials[0]
	if tr.Puts != 65 || tr.Paths[results.StrategyImmediate] != 64 {
		t.Errorf("%d puts, paths %v\n%s", tr.Puts, tr.Paths, stdout)
	}
}
