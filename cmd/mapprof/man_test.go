// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestManPages: each command has one, with its flags and what its help shows, and a
// reader finds nothing wrong with it.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	mapprofOK(t, exitOK, "man", dir)
	groff, _ := exec.LookPath("groff")
	if groff == "" {
		t.Log("there is no groff: only the pages' parts are checked")
	}
	pages := []string{"mapprof.1"}
	visible(newRootCmd(), func(c *cobra.Command) {
		if c.Name() == "help" {
			return
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		pages = append(pages, name)
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			return
		}
		text := strings.NewReplacer(`\-`, "-", `\&`, "").Replace(string(data))
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if shown := strings.Contains(text, `\fB--`+f.Name+`\fP`); shown == f.Hidden {
				t.Errorf("%s: --%s shown: %v", name, f.Name, shown)
			}
		})
		for line := range strings.Lines(c.Long + "\n" + c.Example) {
			if command, ok := strings.CutPrefix(line, "  mapprof "); ok && !strings.Contains(text, strings.TrimSpace(command)) {
				t.Errorf("%s lacks %q", name, line)
			}
		}
	})
	parts := []string{`(?m)\A(\.nh\n)?\.TH "?MAPPROF`, `(?m)^\.SH NAME\n.*mapprof.* \\?- `, `(?m)^\.SH SYNOPSIS$`, `(?m)^\.SH DESCRIPTION$`, `(?m)^\.SH SEE ALSO$`}
	for _, name := range pages {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range parts {
			if !regexp.MustCompile(part).Match(data) {
				t.Errorf("%s lacks %s", name, part)
			}
		}
		if groff == "" {
			continue
		}
		out, err := exec.CommandContext(t.Context(), groff, "-man", "-Kutf8", "-Tutf8", "-ww", "-z", filepath.Join(dir, name)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("groff on %s: %v\n%s", name, err, out)
		}
	}
	if len(pages) < 14 {
		t.Errorf("only %d pages", len(pages))
	}
	exits2, _, stderr := mapprof(t, "man")
	if exits2 != exitUsage || !strings.Contains(stderr, "man/") {
		t.Errorf("without a directory: exit %d: %s", exits2, stderr)
	}
}

// TestReferenceIsFresh: docs/reference is what "mapprof man --format markdown" writes (make
// reference): a page for each command, and one of phases and metrics.
func TestReferenceIsFresh(t *testing.T) {
	dir, kept := filepath.Join(t.TempDir(), "reference"), filepath.Join(packageDir, "..", "..", "docs", "reference")
	mapprofOK(t, exitOK, "man", "--format", "markdown", dir)
	names := map[string]bool{}
	for _, where := range []string{dir, kept} {
		files, err := os.ReadDir(where)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			names[f.Name()] = true
		}
	}
	for name := range names {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("docs/reference/%s is of no command (make reference)", name)
			continue
		}
		got, err := os.ReadFile(filepath.Join(kept, name))
		if err != nil || string(got) != string(want) {
			t.Errorf("docs/reference/%s is stale (make reference): %v", name, err)
		}
	}
	visible(newRootCmd(), func(c *cobra.Command) {
		if name := strings.ReplaceAll(c.CommandPath(), " ", "_") + ".md"; c.Name() != "help" && !names[name] {
			t.Errorf("docs/reference has no %s", name)
		}
	})
}
