// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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

// TestDocsCommandsParse holds every mapprof command that the documentation
// shows against the program's own flags.
func TestDocsCommandsParse(t *testing.T) {
	commands := docCommands(t)
	if len(commands["README.md"]) < 4 {
		t.Errorf("README.md shows %d commands", len(commands["README.md"]))
	}
	for file, list := range commands {
		for _, args := range list {
			root := newRootCmd(args)
			cmd, rest, err := root.Find(args)
			if err == nil && !cmd.DisableFlagParsing {
				err = cmd.ParseFlags(rest)
			}
			if err == nil && cmd == root {
				err = &usageError{}
			}
			if err != nil {
				t.Errorf("%s: mapprof %s: %v", file, strings.Join(args, " "), err)
			}
		}
	}
}
