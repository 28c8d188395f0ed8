// SPDX-License-Identifier: Apache-2.0

package pprofview

import (
	"errors"

	"github.com/google/pprof/driver"
	pprof "github.com/google/pprof/profile"
)

// noObjects is pprof's ObjTool for profiles that carry their symbols.
type noObjects struct{}

var errNoObjects = errors.New("a kernel's profile has no object files to look into")

// Open implements driver.ObjTool.
func (noObjects) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errNoObjects
}

// Disasm implements driver.ObjTool.
func (noObjects) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errNoObjects
}

// noSymbols is the Symbolizer beside it.
type noSymbols struct{}

// Symbolize implements driver.Symbolizer.
func (noSymbols) Symbolize(string, driver.MappingSources, *pprof.Profile) error { return nil }
