// SPDX-License-Identifier: Apache-2.0

//go:build linux

package target

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mapprof/mapprof/results"
	"github.com/mapprof/mapprof/target/task"
)

// filesOf are the files of a directory with their contents.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = string(data)
	}
	return found
}

// TestLocalCommits: what a task on this machine commits is there while it runs, as that
// of a guest is, and what came of it after that only when it has succeeded.
func TestLocalCommits(t *testing.T) {
	failed := errors.New("the task failed")
	for _, fails := range []error{nil, failed} {
		var seen []map[string]string
		dir := filepath.Join(t.TempDir(), "run")
		local := Local{Release: "6.12", Handlers: task.Handlers{"t": func(_ context.Context, env *task.Env, _ []byte) (any, error) {
			part := func(text string) error {
				w, err := env.Uplink.Part(results.DeathsFile)
				if err != nil {
					return err
				}
				_, err = io.WriteString(w, text)
				return errors.Join(err, w.Close())
			}
			run := func(dir, text string) error {
				return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, results.RunFile), []byte(text), 0o600))
			}
			for _, text := range []string{"one ", "two "} {
				so := env.Dir + ".so-far"
				if err := errors.Join(part(text), run(so, text), env.Uplink.Commit(so)); err != nil {
					return nil, err
				}
			}
			return "reply", errors.Join(part("three"), run(env.Dir, "last"), fails)
		}}}
		done, err := local.Do(t.Context(), 0, Work{Task: "t", Dir: dir, OnCommit: func(d *Done) error {
			seen = append(seen, filesOf(t, dir))
			return nil
		}})
		want := []map[string]string{
			{results.DeathsFile: "one ", results.RunFile: "one "},
			{results.DeathsFile: "one two ", results.RunFile: "two "},
			{results.DeathsFile: "one two three", results.RunFile: "last"},
		}
		if fails != nil {
			want[2] = want[1]
			if !slices.Contains(done.Outcome.Files, results.RunFile) {
				t.Error("nobody is told that a run is left")
			}
		}
		if !errors.Is(err, fails) {
			t.Fatal(err)
		}
		if seen = append(seen, filesOf(t, dir)); !slices.EqualFunc(seen, want, maps.Equal) {
			t.Errorf("%q, want %q", seen, want)
		}
	}
	// Who can't take a commit ends the task.
	full := errors.New("disk full")
	local := Local{Release: "6.12", Handlers: task.Handlers{"t": func(_ context.Context, env *task.Env, _ []byte) (any, error) {
		return nil, env.Uplink.Commit(t.TempDir())
	}}}
	if _, err := local.Do(t.Context(), 0, Work{Task: "t", Dir: filepath.Join(t.TempDir(), "run"), OnCommit: func(*Done) error { return full }}); !errors.Is(err, full) {
		t.Error(err)
	}
}
