// SPDX-License-Identifier: Apache-2.0

//go:build unix

package results

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mapprof/mapprof/results/unfinished"
)

func TestDeadTemporaryDirectoriesGo(t *testing.T) {
	parent := t.TempDir()
	alive, err := Create(filepath.Join(parent, "alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Abort()
	for _, path := range []string{
		".dead.tmp-1/" + unfinished.Marker,
		".dead.tmp-2/" + unfinished.Marker, ".dead.tmp-2/" + DeathsFile, ".dead.tmp-2/" + HistogramsFile,
		".dead.tmp-3/" + unfinished.Marker, ".dead.tmp-3/" + RunFile,
		".mine.tmp-4/" + unfinished.Marker, ".mine.tmp-4/notes.txt",
		".theirs.tmp-5/" + RunFile,
		".theirs.tmp-6/",
		"real/" + RunFile,
	} {
		if err := os.MkdirAll(filepath.Join(parent, filepath.Dir(path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "/") {
			if err := os.WriteFile(filepath.Join(parent, path), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	var dead []string
	for i := range 3 {
		dead = append(dead, filepath.Join(parent, fmt.Sprintf(".dead.tmp-%d", i+1)))
	}
	for range 2 { // it only looks
		if got := Abandoned(parent); !slices.Equal(got, dead) {
			t.Errorf("abandoned: %q, not %q", got, dead)
		}
	}
	w, err := Create(filepath.Join(parent, "next"))
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	for name, want := range map[string]bool{
		".dead.tmp-1": false, ".dead.tmp-2": false, ".dead.tmp-3": false,
		".mine.tmp-4": true, ".theirs.tmp-5": true, ".theirs.tmp-6": true, "real": true, filepath.Base(alive.tmp): true,
	} {
		if _, err := os.Stat(filepath.Join(parent, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := alive.Finish(sampleRun()); err != nil {
		t.Error(err)
	}
}

// TestUnfinishedIsMarked: a process may be killed at any time, and its
// directory is known by then; a whole run has nothing of it.
func TestUnfinishedIsMarked(t *testing.T) {
	names := func(dir string) []string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	parent := t.TempDir()
	w, err := Create(filepath.Join(parent, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.KeepDeaths(); err != nil {
		t.Fatal(err)
	}
	if got := names(w.tmp); !slices.Contains(got, unfinished.Marker) {
		t.Errorf("unfinished: %v", got)
	}
	// The lock of a process goes with it.
	if err := w.lock.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := Create(filepath.Join(parent, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(w.tmp); !os.IsNotExist(err) {
		t.Errorf("what was killed is still there: %v", err)
	}
	if err := next.Finish(sampleRun()); err != nil {
		t.Fatal(err)
	}
	if got := names(parent); !slices.Equal(got, []string{"run"}) {
		t.Errorf("beside the run: %v", got)
	}
	if got := names(filepath.Join(parent, "run")); !slices.Equal(got, []string{RunFile}) {
		t.Errorf("in the run: %v", got)
	}
}
