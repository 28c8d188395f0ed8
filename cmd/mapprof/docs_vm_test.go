// SPDX-License-Identifier: Apache-2.0

//go:build vm

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestVMReadme runs the command whose output README.md shows, and compares
// the two but for the figures.
func TestVMReadme(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(packageDir, "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```console\n\\$ mapprof (run [^\n]*)\n(.*?)```").FindStringSubmatch(string(data))
	if block == nil {
		t.Fatal("README.md shows no run")
	}
	t.Chdir(t.TempDir())
	code, stdout, stderr := mapprof(t, strings.Fields(block[1])...)
	if code != exitOK {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	if got, want := skeleton(stdout), skeleton(block[2]); got != want {
		t.Errorf("README.md shows another table than mapprof prints.\n got:\n%s\nwant:\n%s", got, want)
	}
}

// skeleton is the words of a table, without figures, units, rulers, versions
// and paths, nor how it is wrapped.
func skeleton(s string) string {
	s = regexp.MustCompile(`mapprof-runs/\S+|[\d.]+\+deb\S+`).ReplaceAllString(s, "X")
	s = regexp.MustCompile(`[<≥]?\d[\d.,]*\s*(ns|µs|ms|s|B·s|KiB·s|MiB·s|B|KiB|MiB|GiB|%|×)?(\s|$|,|:)`).ReplaceAllString(s, " ")
	s = regexp.MustCompile(`[─│┼┬┴]+`).ReplaceAllString(s, " ")
	return strings.Join(strings.Fields(s), " ")
}
