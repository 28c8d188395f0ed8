// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBenchstat: a benchmark that takes more than before is found, and one that has
// gone; what is unchanged passes, and so does what takes less.
func TestBenchstat(t *testing.T) {
	dir := t.TempDir()
	git, benchstat := repository(t, dir, "benchstat")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	commit := func(benchmark string) {
		write("cmd/mapprof/planted_test.go", "package main\nimport \"testing\"\nvar kept []byte\n"+benchmark)
		git("add", ".")
		git("commit", "-q", "--allow-empty", "-m", "planted")
	}
	allocates := func(kilobytes int) string {
		return fmt.Sprintf("func BenchmarkGrowth(b *testing.B) { b.Run(\"report\", func(b *testing.B) {\nb.ReportAllocs()\nfor b.Loop() { kept = make([]byte, %d<<10) } }) }\n", kilobytes)
	}
	// benchstat is of the version that go.mod names.
	write("go.mod", read(t, "go.mod"))
	write("go.sum", read(t, "go.sum"))
	commit("func TestNothing(*testing.T) {}\n")
	for _, c := range []struct {
		name, benchmark string
		code            int
		says            string
	}{
		{"the first of all", allocates(64), 0, "has no such benchmark, so nothing to compare"},
		{"twice as much", allocates(128), 1, "benchstat: Growth/report"},
		{"half as much", allocates(64), 0, "vs base"},
		{"gone", "func TestNothing(*testing.T) {}\n", 1, "benchstat: Growth/report"},
	} {
		commit(c.benchmark)
		code, out := benchstat("HEAD~1")
		if code != c.code || !strings.Contains(out, c.says) || strings.Contains(out, "more than +10%") != (c.name == "twice as much") || strings.Contains(out, "is gone") != (c.name == "gone") {
			t.Errorf("%s: exit status %d, want %d and %q:\n%s", c.name, code, c.code, c.says, out)
		}
	}
	if code, out := benchstat("HEAD"); code != 0 || !strings.Contains(out, "no Go file differs") {
		t.Errorf("nothing changed: exit status %d: %s", code, out)
	}
	if code, out := benchstat(); code != 0 || !strings.Contains(out, "nothing to compare") {
		t.Errorf("no base: exit status %d: %s", code, out)
	}
	for _, args := range [][]string{{"nowhere"}, {"HEAD~1", "5"}, {"HEAD~1", "many"}} {
		if code, out := benchstat(args...); code != 2 {
			t.Errorf("%q: exit status %d: %s", args, code, out)
		}
	}
	if left := git("worktree", "list"); strings.Count(left, "\n") != 0 {
		t.Errorf("a work tree is left: %s", left)
	}
}
