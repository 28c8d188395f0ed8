// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"errors"
	"fmt"
	"os"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze/compare"
	"github.com/mapprof/mapprof/internal/regularfile"
	"github.com/mapprof/mapprof/results"
)

// Open reads the profile of a run directory, or a profile that is a file: a
// stranger's either way, and made harmless.
func Open(path string) (*pprof.Profile, error) {
	if st, err := os.Stat(path); err != nil || st.IsDir() {
		dir, err := results.Open(path)
		if err != nil {
			return nil, err
		}
		path = dir.ProfilePath()
	}
	file, err := regularfile.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open profile %s: %w (the run ended before any death was seen)", path, os.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("open profile: %w", err)
	}
	defer file.Close()
	p, err := Read(file)
	if err != nil {
		return nil, &results.CorruptError{File: path, Err: err}
	}
	return Harmless(p), nil
}

// DiffDirs returns the difference of the profiles of two runs, as
// compare.Open opened them; see Diff.
func DiffDirs(dirs []*results.Dir, inputs []compare.Input) (*pprof.Profile, error) {
	var runs [2]Run
	for i := range runs {
		p, err := Open(dirs[i].Path)
		if err != nil {
			return nil, err
		}
		runs[i] = Run{Name: inputs[i].Name, Run: inputs[i].Run, Profile: p}
	}
	return Diff(runs[0], runs[1])
}
