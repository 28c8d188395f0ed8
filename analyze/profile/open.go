// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"errors"
	"fmt"
	"os"
	"slices"

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
		p, err := OfDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("open profile %s: %w (the run ended before any death was seen)", dir.ProfilePath(), os.ErrNotExist)
		}
		if err != nil {
			return nil, err
		}
		return Harmless(p), nil
	}
	file, err := regularfile.Open(path)
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

// OfDir reads the profile of a run, and checks that it has as many deaths as the
// run: one of schema version 1 has no digests. A run without a profile gives an
// error that is os.ErrNotExist.
func OfDir(d *results.Dir) (*pprof.Profile, error) {
	f, err := d.OpenProfile()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := Read(f)
	if err != nil {
		return nil, &results.CorruptError{File: d.ProfilePath(), Err: err}
	}
	got, ok := deathsOf(p)
	if want := d.Run.Deaths(); ok && uint64(got) != want {
		return nil, &results.CorruptError{File: d.ProfilePath(), Hint: "it is damaged, or not of this run",
			Err: fmt.Errorf("it has %d deaths, and run.json counts %d", got, want)}
	}
	return p, nil
}

// deathsOf is how many deaths a profile has; false where it is of lookups.
func deathsOf(p *pprof.Profile) (n int64, ok bool) {
	i := slices.IndexFunc(p.SampleType, func(t *pprof.ValueType) bool { return t.Type == SampleDeaths })
	if i < 0 {
		return 0, false
	}
	for _, s := range p.Sample {
		n += s.Value[i]
	}
	return n, true
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
