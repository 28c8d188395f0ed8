// SPDX-License-Identifier: Apache-2.0

package export

import (
	"fmt"
	"io"
	"slices"
	"strings"

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

// UnknownError is returned for a format that isn't registered.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	var names []string
	for _, x := range exports {
		names = append(names, x.Name)
	}
	return fmt.Sprintf("unknown export format %q (known: %s)", e.Name, strings.Join(names, ", "))
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
