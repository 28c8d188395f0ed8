// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mapprof/mapprof/results"
)

// docCommands returns the mapprof commands in the fenced blocks of the
// repository's Markdown files and in the code blocks of doc.go, by file.
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
			if args, ok := commandLine(line); fenced && ok {
				found[filepath.Base(file)] = append(found[filepath.Base(file)], args)
			}
		}
	}
	for _, block := range manualOf(t).Content {
		code, ok := block.(*comment.Code)
		if !ok || strings.Contains(code.Text, "...") { // which is the usage
			continue
		}
		for line := range strings.Lines(code.Text) {
			if args, ok := commandLine(strings.TrimSpace(line)); ok {
				found["doc.go"] = append(found["doc.go"], args)
			}
		}
	}
	return found
}

// commandLine returns the arguments of the mapprof command on a line of
// documentation, without what a shell would do with it.
func commandLine(line string) (args []string, ok bool) {
	line = strings.TrimPrefix(line, "$ ")
	line = strings.TrimPrefix(line, "bin/")
	for _, shell := range []string{" #", " >", " |", " &&"} {
		line, _, _ = strings.Cut(line, shell)
	}
	text, ok := strings.CutPrefix(line, "mapprof ")
	return strings.Fields(text), ok
}

// manualOf returns the package comment, which is the manual page.
func manualOf(t *testing.T) *comment.Doc {
	t.Helper()
	return new(comment.Parser).Parse(packageComment(t, filepath.Join(packageDir, "doc.go")))
}

// packageComment returns the package comment of a file; empty: it has none.
func packageComment(t *testing.T, file string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Error(err)
		return ""
	}
	return f.Doc.Text()
}

// exitCodes returns the constants of the package that are exit codes.
func exitCodes(t *testing.T) map[string]string {
	t.Helper()
	codes := map[string]string{}
	files, err := filepath.Glob(filepath.Join(packageDir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != len(spec.Names) {
				return true
			}
			for i, name := range spec.Names {
				value, ok := spec.Values[i].(*ast.BasicLit)
				if ok && value.Kind == token.INT && regexp.MustCompile("^exit[A-Z]").MatchString(name.Name) {
					codes[name.Name] = value.Value
				}
			}
			return true
		})
	}
	return codes
}

// TestManualIsWhole holds the package comment to the commands and the exit
// codes that there are.
func TestManualIsWhole(t *testing.T) {
	text := packageComment(t, filepath.Join(packageDir, "doc.go"))
	shown := map[string]bool{}
	for _, args := range docCommands(t)["doc.go"] {
		if cmd, _, err := newRootCmd().Find(args); err == nil {
			for ; cmd != nil; cmd = cmd.Parent() {
				shown[cmd.CommandPath()] = true
			}
		}
	}
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
				continue
			}
			if !shown[c.CommandPath()] {
				t.Errorf("doc.go has no example of %s", c.CommandPath())
			}
			check(c)
		}
	}
	check(newRootCmd())
	codes := exitCodes(t)
	if len(codes) < 5 {
		t.Errorf("found only the exit codes %v", codes)
	}
	for name, code := range codes {
		if !regexp.MustCompile(`(?m)^\t` + code + ` +\S`).MatchString(text) {
			t.Errorf("doc.go doesn't say what exit code %s is (%s)", code, name)
		}
	}
	for _, name := range append(results.Files(), "MAPPROF_CACHE", "NO_COLOR", "GITHUB_STEP_SUMMARY") {
		if !strings.Contains(text, "\t"+name+" ") {
			t.Errorf("doc.go doesn't say what %s is", name)
		}
	}
}

// TestPackagesAreDocumented: each package has its comment in a doc.go, and is
// in ARCHITECTURE.md, which names no other.
func TestPackagesAreDocumented(t *testing.T) {
	root := filepath.Join(packageDir, "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (name == "testdata" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			rel, err := filepath.Rel(root, filepath.Dir(path))
			packages[filepath.ToSlash(rel)] = true
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named, headings := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			if headings[line] {
				t.Errorf("ARCHITECTURE.md has %q twice", strings.TrimSpace(line))
			}
			headings[line] = true
		}
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
				named[m[1]] = true
			}
		}
	}
	if len(packages) < 30 {
		t.Errorf("found only %d packages", len(packages))
	}
	for p := range packages {
		if !named[p] {
			t.Errorf("ARCHITECTURE.md has no row for %s", p)
		}
		if packageComment(t, filepath.Join(root, filepath.FromSlash(p), "doc.go")) == "" {
			t.Errorf("%s has no package comment in its doc.go", p)
		}
	}
	for p := range named {
		if !packages[p] {
			t.Errorf("ARCHITECTURE.md has a row for %s, which is no package", p)
		}
	}
}

// TestDocsCommandsAreAccepted runs every mapprof command that the documentation
// shows, as far as it comes without a VM: past what checks its arguments and
// flags, which would be exit code 2. Runs and kernels are made up, nothing is
// cached, no program is found, and the context has ended.
func TestDocsCommandsAreAccepted(t *testing.T) {
	commands, policy := docCommands(t), docPolicy(t)
	if len(commands["README.md"]) < 4 || len(commands["ci.md"]) < 10 || len(commands["doc.go"]) < 10 {
		t.Errorf("README.md shows %d commands, ci.md %d, doc.go %d", len(commands["README.md"]), len(commands["ci.md"]), len(commands["doc.go"]))
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

// tracesThisMachine: top, and run, record and doctor without a kernel attach to the one
// that runs here, which a unit test must not.
func tracesThisMachine(cmd *cobra.Command, args []string) bool {
	return cmd.Name() == "top" || (cmd.Name() == "run" || cmd.Name() == "record" || cmd.Name() == "doctor") && !slices.Contains(args, "--kernel")
}

// madeUpArguments makes the runs and kernel images that a command reads.
func madeUpArguments(t *testing.T, args []string) {
	t.Helper()
	runs := []string{"DIR", "BEFORE", "AFTER"}
	if args[0] != "run" { // it makes them
		runs = append(runs, "before", "after", "both")
	}
	for i, a := range args {
		if _, err := os.Lstat(a); err == nil {
			continue
		}
		root, isRoot := strings.CutPrefix(a, "--root=")
		switch {
		case isRoot: // of bench probe-cost
			program := filepath.Join(root, "usr", "bin", "bpftrace")
			if err := errors.Join(os.MkdirAll(filepath.Dir(program), 0o755), os.WriteFile(program, []byte("#!/bin/true\n"), 0o755)); err != nil {
				t.Fatal(err)
			}
		case i > 0 && args[i-1] == "--root": // with the program in it
			program := filepath.Join(a, args[slices.Index(args, "--")+1])
			if err := errors.Join(os.MkdirAll(filepath.Dir(program), 0o755), os.WriteFile(program, []byte("#!/bin/true\n"), 0o755)); err != nil {
				t.Fatal(err)
			}
		case slices.Contains(runs, a):
			saveRun(t, a, 1, nil)
		case args[0] == "record" && strings.HasPrefix(a, "./"): // a program
			if err := errors.Join(os.MkdirAll(filepath.Dir(a), 0o755), os.WriteFile(a, []byte("#!/bin/true\n"), 0o755)); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(a, "bzImage"):
			if err := os.MkdirAll(filepath.Dir(a), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(a, fakeBzImage("6.99.0-test"), 0o644); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(a, "/Image"):
			if err := errors.Join(os.MkdirAll(filepath.Dir(a), 0o755), os.WriteFile(a, fakeARM64Image("6.99.0-test"), 0o644)); err != nil {
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
