// SPDX-License-Identifier: Apache-2.0

package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"

	"github.com/mapprof/mapprof/analyze"
	"github.com/mapprof/mapprof/analyze/profile"
	"github.com/mapprof/mapprof/internal/safetext"
	"github.com/mapprof/mapprof/results"
)

// Loaded is a run as the pages need it: run.json, the curves of its
// histograms, and its profile. The deaths file is never read: a page costs the
// same for a thousand deaths and for a million. It is not changed after Load,
// and may be used by several goroutines.
type Loaded struct {
	Name    string // of the directory
	Run     *results.Run
	Profile *pprof.Profile // nil: there is none
	// Notes say what of the run could not be read, and is missing therefore.
	Notes []string

	curves map[string]map[string]*Curve // scenario → phase
	dir    *results.Dir                 // of which there are curves to be drawn; nil: there are all
}

// MaxDrawn is how many scenarios have charts and tables of their own: among more lines
// of a chart none can be told from the others. The curves of a run that has more are
// read for the few that are looked at.
const MaxDrawn = 500

// Load reads a run directory. A run.json that can't be read is an error; what is
// wrong with the other files is noted, and nothing is shown of them.
func Load(path string) (*Loaded, error) {
	dir, err := results.Inspect(path)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", path, err)
	}
	l := &Loaded{Name: safetext.Name(filepath.Base(abs)), Run: dir.Run}
	if len(l.Run.Scenarios) > MaxDrawn {
		l.dir, err = dir, dir.Damage(results.HistogramsFile)
	} else {
		l.curves, err = curvesOf(dir, l.Run.Scenarios)
	}
	if err != nil {
		l.note("histograms", err)
	}
	if l.Profile, err = profileOf(dir); err != nil {
		l.note("profile", err)
	}
	if err := dir.Damage(results.DeathsFile); err != nil {
		l.note("deaths", err)
	}
	return l, nil
}

// Drawn is the run with the curves of the scenarios that pass a filter, unless these
// are too many.
func (l *Loaded) Drawn(f Filter) *Loaded {
	if l.dir == nil || l.dir.Damage(results.HistogramsFile) != nil {
		return l
	}
	wanted := f.of(l.Run.Scenarios)
	if len(wanted) > MaxDrawn {
		return l
	}
	drawn := *l
	drawn.dir, drawn.Notes = nil, slices.Clone(l.Notes)
	var err error
	if drawn.curves, err = curvesOf(l.dir, wanted); err != nil {
		drawn.note("histograms", err)
	}
	return &drawn
}

// TooMany tells whether there are no curves because there are too many scenarios.
func (l *Loaded) TooMany() bool { return l.dir != nil }

// Only is the run without the scenarios that don't pass a filter, as Drawn has it.
func (l *Loaded) Only(f Filter) *Loaded {
	only := *l.Drawn(f)
	run := *l.Run
	run.Scenarios = f.of(l.Run.Scenarios)
	run.SumLoss()
	// A run keeps the mismatches of all its scenarios.
	own, all := map[string]bool{}, map[string]bool{}
	for _, m := range analyze.Mismatches(&run) {
		own[m] = true
	}
	for _, m := range analyze.Mismatches(l.Run) {
		all[m] = true
	}
	run.Warnings = slices.DeleteFunc(slices.Clone(run.Warnings), func(w string) bool { return all[w] && !own[w] })
	only.Run = &run
	return &only
}

func (l *Loaded) note(what string, err error) {
	l.Notes = append(l.Notes, fmt.Sprintf("the %s of this run can't be shown: %v", what, WithoutPath(l.Name, err)))
}

// Damage is an error that says what of the runs could not be shown; nil: nothing.
func Damage(runs []*Loaded) error {
	var all []string
	for _, l := range runs {
		all = append(all, l.Notes...)
	}
	if len(all) == 0 {
		return nil
	}
	return errors.New(strings.Join(all, "; "))
}

// WithoutPath names a damaged file by its run and not by its place: pages are
// for others to read, and its place on this machine is none of their business.
func WithoutPath(run string, err error) error {
	var corrupt *results.CorruptError
	if errors.As(err, &corrupt) {
		return &results.CorruptError{File: filepath.Join(run, filepath.Base(corrupt.File)), Err: corrupt.Err, Hint: corrupt.Hint}
	}
	return err
}

func profileOf(dir *results.Dir) (*pprof.Profile, error) {
	p, err := profile.OfDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return p, err
}
