// SPDX-License-Identifier: Apache-2.0

//go:build unix

package results

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDeadTemporaryDirectoriesGo(t *testing.T) {
	parent := t.TempDir()
	alive, err := Create(filepath.Join(parent, "alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Abort()
	for path, text := range map[string]string{
		".dead.tmp-1/" + HistogramsFile: "x",
		".dead.tmp-2/" + DeathsFile:     "",
		".mine.tmp-3/notes.txt":         "not a run's",
		"real/" + RunFile:               "{}",
	} {
		path = filepath.Join(parent, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := Create(filepath.Join(parent, "next"))
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	for name, want := range map[string]bool{".dead.tmp-1": false, ".dead.tmp-2": false, ".mine.tmp-3": true, "real": true, filepath.Base(alive.tmp): true} {
		if _, err := os.Stat(filepath.Join(parent, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := alive.Finish(sampleRun()); err != nil {
		t.Error(err)
	}
}
