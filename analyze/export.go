// SPDX-License-Identifier: Apache-2.0

package analyze

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mapprof/mapprof/results"
)

// Export is a format that a run can be written in for other tools.
type Export struct {
	Name    string
	Summary string // who reads it
	Write   func(*results.Dir, io.Writer) error
}

var exports []Export

// registerExport is called by the init function of a format's file.
func registerExport(e Export) {
	exports = append(exports, e)
	slices.SortFunc(exports, func(a, b Export) int { return strings.Compare(a.Name, b.Name) })
}

// Exports lists the formats by name.
func Exports() []Export { return slices.Clone(exports) }

// UnknownExportError is returned for a format that isn't registered.
type UnknownExportError struct{ Name string }

func (e *UnknownExportError) Error() string {
	var names []string
	for _, x := range exports {
		names = append(names, x.Name)
	}
	return fmt.Sprintf("unknown export format %q (known: %s)", e.Name, strings.Join(names, ", "))
}

// LookupExport finds a format by name.
func LookupExport(name string) (Export, error) {
	for _, e := range exports {
		if e.Name == name {
			return e, nil
		}
	}
	return Export{}, &UnknownExportError{name}
}
