// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes one of git's in a directory, with a script of .ci in it. What the
// user has configured has no say.
func repository(t *testing.T, dir, script string) (git func(args ...string) string, run func(args ...string) (int, string)) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, ".ci"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".ci", script), []byte(read(t, ".ci", script)), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
		"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
	} {
		t.Setenv(name, value)
	}
	git = func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "topic")
	return git, func(args ...string) (int, string) {
		t.Helper()
		return ends(t, exec.Command(filepath.Join(dir, ".ci", script), args...))
	}
}

func TestLintCommits(t *testing.T) {
	git, lint := repository(t, t.TempDir(), "lint-commits")
	commit := func(subject string) { git("commit", "-q", "--allow-empty", "-m", subject) }
	commit("Whatever stood here before the rule")
	if code, out := lint(); code != 0 || !strings.Contains(out, "nothing to check") {
		t.Errorf("without a base: exit status %d: %s", code, out)
	}
	if code, out := lint(strings.Repeat("0", 40)); code != 0 || !strings.Contains(out, "nothing to check") {
		t.Errorf("a new branch on GitHub: exit status %d: %s", code, out)
	}
	if code, out := lint("nowhere"); code != 2 {
		t.Errorf("a base that isn't there: exit status %d: %s", code, out)
	}
	git("update-ref", "refs/remotes/origin/main", "HEAD")
	if code, out := lint(); code != 0 || !strings.Contains(out, "0 commits") {
		t.Errorf("nothing new: exit status %d: %s", code, out)
	}
	long := "results: " + strings.Repeat("é", 63) // 72 characters
	for _, c := range []struct {
		subject string
		says    string // "" where it is fine
	}{
		{"results: read version 7", ""},
		{".ci, cmd/mapprof: keep an exit status", ""},
		{long, ""},
		{long + "é", "73 characters"},
		{"Read version 7", "no area"},
		{"results : read version 7", "no area"},
		{"fixup! results: read version 7", "no area"},
	} {
		commit(c.subject)
		code, out := lint()
		if (code == 0) != (c.says == "") || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit status %d: %s", c.subject, code, out)
		}
		if code, out := lint("HEAD"); code != 0 {
			t.Errorf("no commits: exit status %d: %s", code, out)
		}
		if c.says != "" {
			git("reset", "-q", "--hard", "HEAD~")
		}
	}
	git("checkout", "-q", "-b", "other", "origin/main")
	commit("target: wait for the guest")
	git("merge", "-q", "--no-ff", "-m", "Merge branch 'topic' into another that has a name which is far too long to be here", "topic")
	if code, out := lint(); code != 0 || !strings.Contains(out, "4 commits") {
		t.Errorf("a merge: exit status %d: %s", code, out)
	}
}
