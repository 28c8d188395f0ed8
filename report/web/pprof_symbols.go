// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"

	"github.com/google/pprof/driver"
	pprof "github.com/google/pprof/profile"
)

// NoObjects is pprof's ObjTool for profiles that carry their symbols.
type NoObjects struct{}

var errNoObjects = errors.New("a kernel's profile has no object files to look into")

// Open implements driver.ObjTool.
func (NoObjects) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errNoObjects
}

// Disasm implements driver.ObjTool.
func (NoObjects) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errNoObjects
}

// NoSymbols is the Symbolizer beside it.
type NoSymbols struct{}

// Symbolize implements driver.Symbolizer.
func (NoSymbols) Symbolize(string, driver.MappingSources, *pprof.Profile) error { return nil }
