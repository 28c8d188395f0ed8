// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results"
)

// TestVMInnerEntriesOnEveryKernel: inner maps of other max_entries than their
// template's. From 6.10 (db69718b8efa) to 7.0 the lookup that is inlined for a percpu
// array takes the template's: it reads past a smaller map, and doesn't find the end of
// a larger one. From 7.1 on the kernel refuses such a map.
func TestVMInnerEntriesOnEveryKernel(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := mapprof(t, "run", "--target", "vm", "--workload", "lookup", "--inner-entries-differ", "--path", "syscall", "--count", "20000",
		"--kernel", "5.10", "--kernel", "6.1", "--kernel", "6.12", "--kernel", "7.2", "-o", dir)
	if code != exitFailure || !strings.Contains(stderr, "addressing: FAIL") && !strings.Contains(stdout, "addressing: FAIL") {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	d, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Run.Scenarios); n != 4 {
		t.Fatalf("%d scenarios\n%s", n, stderr)
	}
	for _, s := range d.Run.Scenarios {
		tr := s.Trials[0]
		found := "\n" + strings.Join(tr.Findings, "\n") + "\n"
		for _, outer := range []string{"array-of-maps", "hash-of-maps"} {
			for _, entries := range []string{"4", "256"} {
				if want := "addressing: ok: array with BPF_F_INNER_MAP of " + entries + " entries in " + outer; !strings.Contains(found, want) {
					t.Errorf("%s: no %q", s.Kernel, want)
				}
			}
		}
		accepted := line(found, "accepted: ")
		for _, want := range []string{"array with BPF_F_INNER_MAP", "hash", "lpm-trie", "queue", "ringbuf", "cpumap", "reuseport-sockarray"} {
			if !contains(accepted, want) {
				t.Errorf("%s: %s not accepted: %q", s.Kernel, want, accepted)
			}
		}
		refused := line(found, "refused: ")
		for _, want := range []string{"array (EINVAL)", "array with BPF_F_MMAPABLE (EINVAL)", "xskmap (EINVAL)"} {
			if !contains(refused, want) {
				t.Errorf("%s: %s not refused: %q", s.Kernel, want, refused)
			}
		}
		checkPerCPUInner(t, &s, found, refused)
	}
	if t.Failed() {
		t.Log(stdout)
	}
}

func checkPerCPUInner(t *testing.T, s *results.Scenario, found, refused string) {
	t.Helper()
	fails := strings.Join(s.Trials[0].Failures, "\n")
	proven := strings.Count(found, "addressing: ok: percpu-array")
	switch {
	case strings.HasPrefix(s.Kernel, "7.2"):
		if fails != "" || proven != 0 || !contains(refused, "percpu-array (EINVAL)") {
			t.Errorf("%s: %d proven, failures %q, refused %q", s.Kernel, proven, fails, refused)
		}
	case strings.HasPrefix(s.Kernel, "6.12"):
		for _, want := range []string{
			"percpu-array of 4 entries in array-of-maps with a template of 64, by inlined: 60 indexes are past the map's end and found, from 4 to 63",
			"percpu-array of 256 entries in hash-of-maps with a template of 64, by inlined: 192 indexes are in the map and not found, from 64 to 255",
			"db69718b8efa",
		} {
			if !strings.Contains(fails, want) {
				t.Errorf("%s: no %q in %q", s.Kernel, want, fails)
			}
		}
		// The function that is inlined is right, and so is what user space sees.
		if strings.Count(fails, "\n") != 3 || strings.Contains(fails, "by helper") || strings.Contains(fails, "by syscall") {
			t.Errorf("%s: failures %q", s.Kernel, fails)
		}
	default:
		if fails != "" || proven != 4 {
			t.Errorf("%s: %d proven, failures %q", s.Kernel, proven, fails)
		}
		if got := strings.Contains(found, "inlined, helper, percpu-helper"); got != strings.HasPrefix(s.Kernel, "6.1.") {
			t.Errorf("%s: by percpu-helper: %t", s.Kernel, got)
		}
	}
}

// line is the rest of the finding that has what.
func line(findings, what string) string {
	_, rest, _ := strings.Cut(findings, what)
	rest, _, _ = strings.Cut(rest, "\n")
	return rest
}

// contains tells whether a list with commas has a name.
func contains(list, name string) bool {
	return strings.Contains(", "+list+", ", ", "+name+", ")
}
