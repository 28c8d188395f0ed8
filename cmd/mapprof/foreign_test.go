// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"github.com/mapprof/mapprof/results"
)

// TestForeignFiles puts into a run what isn't of it, or takes away what is. Every
// command that reads runs refuses it and names the file; a report also shows what
// is intact. A run of schema version 1 has no digests: there deaths that are missing
// may never have been kept.
func TestForeignFiles(t *testing.T) {
	good, other := copyOfRun(t, "churn"), copyOfRun(t, "churn-icount")
	read := func(dir, name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	deaths := read(good, results.DeathsFile)
	commands := append(slices.Clone(readingCommands), "export A --format benchfmt", "export A --format hlog")
	for _, version := range []int{1, results.SchemaVersion} {
		for _, c := range []struct {
			name, file string
			content    []byte // nil: the file is removed
			unseen     func(command string) bool
		}{
			{"some deaths", results.DeathsFile, someDeaths(t, deaths, 30), nil},
			{"no death", results.DeathsFile, someDeaths(t, deaths, 0), nil},
			{"another run's deaths", results.DeathsFile, read(other, results.DeathsFile), nil},
			{"deaths missing", results.DeathsFile, nil, func(string) bool { return version == 1 }},
			{"another run's histograms", results.HistogramsFile, read(other, results.HistogramsFile), nil},
			{"histograms missing", results.HistogramsFile, nil, nil},
			{"another run's profile", results.ProfileFile, read(other, results.ProfileFile), nil},
			{"profile missing", results.ProfileFile, nil, nil},
		} {
			t.Run(fmt.Sprintf("version %d/%s", version, c.name), func(t *testing.T) {
				dir := copyOfRun(t, "churn")
				if version > 1 {
					if err := synthetic.Edit(dir, func(r *results.Run) { r.SchemaVersion = version }); err != nil {
						t.Fatal(err)
					}
				}
				path := filepath.Join(dir, c.file)
				err := os.Remove(path)
				if c.content != nil {
					err = os.WriteFile(path, c.content, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Chdir(t.TempDir())
				for _, command := range commands {
					if c.unseen != nil && c.unseen(command) {
						continue
					}
					var args []string
					for _, a := range strings.Fields(command) {
						args = append(args, map[string]string{"A": dir, "B": good}[a])
						if args[len(args)-1] == "" {
							args[len(args)-1] = a
						}
					}
					code, stdout, stderr := mapprof(t, args...)
					want, said := exitFailure, stderr
					if strings.HasPrefix(command, "gate") {
						want, said = exitInconclusive, strings.Join(strings.Fields(stdout), "")
					}
					if code != want || !strings.Contains(said, c.file) {
						t.Errorf("%s: exit %d, want %d and the name of the file: %s", command, code, want, said)
					}
					if (stdout != "") != (command == "report A" || strings.HasPrefix(command, "gate")) {
						t.Errorf("%s printed %d bytes", command, len(stdout))
					}
				}
			})
		}
	}
}

// copyOfRun copies a run that an early version wrote.
func copyOfRun(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "v0", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// someDeaths are the first n of a deaths file.
func someDeaths(t *testing.T, file []byte, n int) []byte {
	t.Helper()
	zr, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer zr.Close()
	lines, err := zr.DecodeAll(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	zw, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer zw.Close()
	return zw.EncodeAll(bytes.Join(bytes.SplitAfter(lines, []byte("\n"))[:n], nil), nil)
}
