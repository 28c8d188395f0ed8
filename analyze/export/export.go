// SPDX-License-Identifier: Apache-2.0

package export

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/internal/flagvalue"
	"github.com/mapprof/mapprof/results"
)

// Format is a format that a run can be written in for other tools.
type Format struct {
	Name    string
	Summary string // who reads it
	Write   func(*results.Dir, io.Writer) error
}

var exports []Format

// registerExport is called by the init function of a format's file.
func registerExport(e Format) {
	exports = append(exports, e)
	slices.SortFunc(exports, func(a, b Format) int { return strings.Compare(a.Name, b.Name) })
}

// All lists the formats by name.
func All() []Format { return slices.Clone(exports) }

// EmptyError is returned for a run of which a format would show nothing.
type EmptyError struct {
	Format string
	Lacks  string // what the run has none of
	Has    string // what it has instead, and which formats show that
}

func (e *EmptyError) Error() string {
	return fmt.Sprintf("export %s: this run has no %s (%s)", e.Format, e.Lacks, e.Has)
}

// empty says what a run has that lacks what a format shows.
func empty(format, lacks string, run *results.Run) error {
	deaths, figures := run.Deaths(), 0
	for i := range run.Scenarios {
		figures += len(run.Scenarios[i].Metrics)
	}
	has := "it has no figures either: the run ended before anything was measured"
	switch {
	case deaths > 0:
		has = fmt.Sprintf("it has the statistics of %d deaths: try --format csv", deaths)
	case figures > 0:
		has = fmt.Sprintf("it has figures of calls, %d in all: try --format csv, benchfmt or openmetrics", figures)
	}
	return &EmptyError{Format: format, Lacks: lacks, Has: has}
}

// UnknownError is returned for a format that isn't registered.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	var names []string
	for _, x := range exports {
		names = append(names, x.Name)
	}
	return fmt.Sprintf("unknown export format %q (known: %s)%s", e.Name, strings.Join(names, ", "), flagvalue.DidYouMean(e.Name, names))
}

// Find finds a format by name.
func Find(name string) (Format, error) {
	for _, e := range exports {
		if e.Name == name {
			return e, nil
		}
	}
	return Format{}, &UnknownError{name}
}
