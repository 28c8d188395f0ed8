// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// docCommands returns the mapprof commands in the fenced blocks of the
// repository's Markdown files, by file.
func docCommands(t *testing.T) map[string][][]string {
	t.Helper()
	root := filepath.Join(packageDir, "..", "..")
	files, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][][]string{}
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fenced := false
		text := strings.ReplaceAll(string(data), "\\\n", " ")
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "```") {
				fenced = !fenced
				continue
			}
			line = strings.TrimPrefix(line, "$ ")
			line = strings.TrimPrefix(line, "bin/")
			line, _, _ = strings.Cut(line, " #")
			line, _, _ = strings.Cut(line, " >")
			line, _, _ = strings.Cut(line, " |")
			if args, ok := strings.CutPrefix(line, "mapprof "); fenced && ok {
				found[filepath.Base(file)] = append(found[filepath.Base(file)], strings.Fields(args))
			}
		}
	}
	return found
}

// TestDocsCommandsAreAccepted runs every mapprof command that the documentation
// shows, as far as it comes without a VM: past what checks its arguments and
// flags, which would be exit code 2. Runs and kernels are made up, nothing is
// cached, no program is found, and the context has ended.
func TestDocsCommandsAreAccepted(t *testing.T) {
	commands, policy := docCommands(t), docPolicy(t)
	if len(commands["README.md"]) < 4 || len(commands["ci.md"]) < 10 {
		t.Errorf("README.md shows %d commands, ci.md %d", len(commands["README.md"]), len(commands["ci.md"]))
	}
	t.Setenv("PATH", t.TempDir())
	t.Setenv("MAPPROF_CACHE", t.TempDir())
	t.Setenv("GITHUB_STEP_SUMMARY", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for file, list := range commands {
		for _, args := range list {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("gate.yaml", policy, 0o644); err != nil {
				t.Fatal(err)
			}
			madeUpArguments(t, args)
			line := file + ": mapprof " + strings.Join(args, " ")
			cmd, rest, err := newRootCmd().Find(args)
			if err != nil || !cmd.HasParent() {
				t.Errorf("%s: no such command: %v", line, err)
				continue
			}
			if tracesThisMachine(cmd, args) {
				if err := cmd.ParseFlags(rest); err != nil {
					t.Errorf("%s: %v", line, err)
				} else if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
					t.Errorf("%s: %v", line, err)
				}
				continue
			}
			var stdout, stderr bytes.Buffer
			code := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
			t.Logf("%s: exit %d: %s", line, code, &stderr)
			switch code {
			case exitOK, exitFailure, exitInconclusive:
			default:
				t.Errorf("%s: exit %d: %s", line, code, &stderr)
			}
		}
	}
}

// tracesThisMachine: run and doctor without a kernel attach to the one that
// runs here, which a unit test must not.
func tracesThisMachine(cmd *cobra.Command, args []string) bool {
	return (cmd.Name() == "run" || cmd.Name() == "doctor") && !slices.Contains(args, "--kernel")
}

// madeUpArguments makes the runs and kernel images that a command reads.
func madeUpArguments(t *testing.T, args []string) {
	t.Helper()
	runs := []string{"DIR", "BEFORE", "AFTER"}
	if args[0] != "run" { // it makes them
		runs = append(runs, "before", "after", "both")
	}
	for _, a := range args {
		if _, err := os.Lstat(a); err == nil {
			continue
		}
		switch {
		case slices.Contains(runs, a):
			saveRun(t, a, 1, nil)
		case strings.HasSuffix(a, "bzImage"):
			if err := os.MkdirAll(filepath.Dir(a), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(a, fakeBzImage("6.99.0-test"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// docPolicy returns the gate's policy that docs/ci.md shows.
func docPolicy(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "docs", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```yaml\n(version: .*?)```").FindAllSubmatch(data, -1)
	if len(found) != 1 {
		t.Fatalf("docs/ci.md shows %d policies", len(found))
	}
	return found[0][1]
}
